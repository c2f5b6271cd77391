package org.json;

public class JSONObject {
    public JSONObject(String text) {}
    public JSONObject getJSONObject(String name) { throw new UnsupportedOperationException(); }
    public JSONArray getJSONArray(String name) { throw new UnsupportedOperationException(); }
    public double getDouble(String name) { throw new UnsupportedOperationException(); }
}
