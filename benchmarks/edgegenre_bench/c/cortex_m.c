/* What a Cortex-M needs to begin: the first two vectors. newlib's semihosting start-up does the rest. */
extern unsigned long __stack;
extern void _start(void);

__attribute__((section(".vectors"), used)) static void *const vectors[2] = {(void *)&__stack, (void *)_start};
