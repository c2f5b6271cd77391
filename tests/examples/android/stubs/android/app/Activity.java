package android.app;

public class Activity extends android.content.Context {
    protected void onCreate(android.os.Bundle saved) {}
    protected void onResume() {}
    protected void onPause() {}
    public void onRequestPermissionsResult(int code, String[] names, int[] results) {}
    public void setContentView(android.view.View view) {}
    public final void requestPermissions(String[] names, int code) {}
    public final void runOnUiThread(Runnable action) {}
}
