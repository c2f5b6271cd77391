/* Log-mel frames of a file of PCM by a blob of tables: mel_run BLOB PCM prints the path and a frame a line. */
#include <stdio.h>
#include <stdlib.h>

#include "edgegenre_mel.h"

static void *read_file(const char *name, size_t *n_bytes)
{
    FILE *file = fopen(name, "rb");
    if (!file || fseek(file, 0, SEEK_END)) exit(2);
    *n_bytes = (size_t)ftell(file);
    rewind(file);
    void *bytes = malloc(*n_bytes + 1);
    if (!bytes || fread(bytes, 1, *n_bytes, file) != *n_bytes) exit(2);
    fclose(file);
    return bytes;
}

int main(int argc, char **argv)
{
    size_t blob_bytes, pcm_bytes, n_frames, n_new;
    if (argc != 3) return 2;
    void *blob = read_file(argv[1], &blob_bytes), *pcm = read_file(argv[2], &pcm_bytes);
    edgegenre_mel_tables tables;
    edgegenre_mel *mel;
    if (edgegenre_mel_tables_from_blob(&tables, blob, blob_bytes)) return 1;
    size_t arena_bytes = edgegenre_mel_arena_bytes(tables.n_fft, tables.n_mels, tables.frames_per_window);
    if (edgegenre_mel_init(&mel, malloc(arena_bytes), arena_bytes, &tables)) return 1;
    if (edgegenre_mel_frames_after(mel, pcm_bytes / 2, &n_frames)) return 1;
    int16_t *frames = malloc(n_frames * tables.n_mels * sizeof *frames + 1);
    if (edgegenre_mel_push(mel, pcm, pcm_bytes / 2, frames, n_frames, &n_new)) return 1;
    puts(edgegenre_mel_path(mel));
    for (size_t i = 0; i < n_new * tables.n_mels; i++)
        printf("%d%c", frames[i], (i + 1) % tables.n_mels == 0 ? '\n' : ' ');
    return 0;
}
