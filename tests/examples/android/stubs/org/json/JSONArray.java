package org.json;

public class JSONArray {
    public int length() { throw new UnsupportedOperationException(); }
    public JSONArray getJSONArray(int i) { throw new UnsupportedOperationException(); }
    public double getDouble(int i) { throw new UnsupportedOperationException(); }
    public String getString(int i) { throw new UnsupportedOperationException(); }
}
