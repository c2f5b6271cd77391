/* What the sources need of <string.h>, where there is no C library. */
#ifndef EDGEGENRE_WASM_STRING_H
#define EDGEGENRE_WASM_STRING_H

#include <stddef.h>

void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);
int memcmp(const void *a, const void *b, size_t n);

#endif
