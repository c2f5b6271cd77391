/* What a Cortex-M needs to begin: two vectors, and its FPU switched on. newlib's semihosting start-up does the rest. */
#include <stdint.h>

extern unsigned long __stack[];
extern void _start(void);

static void reset(void)
{
#if defined(__ARM_FP)
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20; /* CPACR: full access to the FPU, and to Helium */
    __asm volatile("dsb\n isb");
#endif
    _start();
}

__attribute__((section(".vectors"), used)) static void *const vectors[2] = {(void *)__stack, (void *)reset};
