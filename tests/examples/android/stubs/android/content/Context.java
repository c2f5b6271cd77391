package android.content;

public class Context {
    public int checkSelfPermission(String name) { throw new UnsupportedOperationException(); }
    public android.content.res.AssetManager getAssets() { throw new UnsupportedOperationException(); }
}
