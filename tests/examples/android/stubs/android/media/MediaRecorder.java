package android.media;

public class MediaRecorder {
    public static final class AudioSource {
        public static final int UNPROCESSED = 9, VOICE_RECOGNITION = 6;
    }
}
