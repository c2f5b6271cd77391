package android.media;

public class AudioRecord {
    public static final int STATE_INITIALIZED = 1;
    public AudioRecord(int source, int rateHz, int channels, int encoding, int bytes) {}
    public static int getMinBufferSize(int rateHz, int channels, int encoding) { throw new UnsupportedOperationException(); }
    public int getState() { throw new UnsupportedOperationException(); }
    public void startRecording() {}
    public int read(short[] pcm, int from, int n) { throw new UnsupportedOperationException(); }
    public void release() {}
}
