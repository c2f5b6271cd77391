/* The kernels of this processor, and the choice among them. EDGEGENRE_NET_PORTABLE leaves plain C alone. */

#include "edgegenre_net_internal.h"

#if defined(__FAST_MATH__)
#error "the engine's bits need IEEE float32: compile it without -ffast-math"
#endif

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define UNROLL _Pragma("GCC unroll 16")
#else
#define UNROLL
#endif

#if defined(__GNUC__)
#define FROM_MEMORY(pointer) __asm volatile("" : "+r"(pointer) : : "memory") /* read when needed, not kept in registers */
#else
#define FROM_MEMORY(pointer)
#endif

#if defined(EDGEGENRE_NET_PORTABLE)
/* nothing but plain C */
#elif defined(__x86_64__) && defined(__GNUC__)
#define HAS_AVX2
#elif defined(__ARM_NEON) && (defined(__ARMEL__) || defined(__AARCH64EL__))
#define HAS_NEON
#if defined(__GNUC__) && !defined(__clang__)
/* scheduling before registers are given out spills the sums; blocks that are merged or moved cost branches */
#pragma GCC optimize("no-schedule-insns,no-crossjumping,no-reorder-blocks")
#endif
#if defined(__ARM_FEATURE_DOTPROD)
#define EDGEGENRE_NET_DOT
#define DOT_TARGET
#elif defined(__aarch64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#include <sys/auxv.h> /* a build for any 64-bit ARM asks the kernel for the dot product */
#define EDGEGENRE_NET_DOT
#define DOT_TARGET __attribute__((target("arch=armv8.2-a+dotprod")))
#define ASKS_KERNEL
#endif
#elif defined(__wasm_simd128__)
#define HAS_WASM
#elif defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 2)
#define HAS_HELIUM
#elif defined(__ARM_FEATURE_DSP) || defined(__ARM_FEATURE_SIMD32)
#define HAS_DSP
#endif
#if (defined(HAS_DSP) || defined(HAS_HELIUM)) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-schedule-insns")
#endif

#include "edgegenre_net_lanes_scalar.h"

#if !defined(HAS_NEON) && !defined(HAS_HELIUM) && !defined(HAS_DSP) && !defined(HAS_WASM)
static const net_kernels SCALAR_KERNELS = {"portable", scalar_conv, scalar_depthwise, scalar_add, scalar_turn};
#endif

#if defined(HAS_AVX2)

#include "edgegenre_net_lanes_avx2.h"
#define CELLS 4
#define BLOCKS 1
#define FN(name) avx2_##name
#define KERNEL AVX2
#define FRAME __attribute__((target("avx2"))) static
#include "edgegenre_net_conv.h"
#define CELLS 8
#define BLOCKS 2
#define OWN_TAPS
#define FN(name) vnni_##name
#define KERNEL VNNI
#define FRAME __attribute__((target("avx2,avx512f,avx512vl,avx512bw,avx512vnni"))) static
#include "edgegenre_net_conv.h"

static const net_kernels AVX2_KERNELS = {"avx2", avx2_conv, avx2_depthwise, avx2_add, avx2_turn};
static const net_kernels VNNI_KERNELS = {"avx512vnni", vnni_conv, vnni_depthwise, avx2_add, avx2_turn};

const net_kernels *edgegenre_net_choose(void)
{
#if !defined(EDGEGENRE_NET_NO_VNNI)
    if (__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
        return &VNNI_KERNELS;
#else
    (void)VNNI_KERNELS;
#endif
    return __builtin_cpu_supports("avx2") ? &AVX2_KERNELS : &SCALAR_KERNELS;
}

#elif defined(HAS_NEON)

#include "edgegenre_net_lanes_neon.h"
#if defined(__aarch64__)
#define CELLS 4
#define OWN_TAPS
#else
#define CELLS 2 /* of sixteen vectors, eight are sums */
#endif
#define BLOCKS 1
#define FN(name) neon_##name
#define KERNEL NEON
#define FRAME static
#include "edgegenre_net_conv.h"
static const net_kernels NEON_KERNELS = {"neon", neon_conv, neon_depthwise, neon_add, neon_turn};

#if defined(EDGEGENRE_NET_DOT)
#define CELLS 8
#define BLOCKS 1
#define OWN_TAPS
#define KEEPS_RULES /* there are registers for them */
#define FN(name) dot_##name
#define KERNEL DOT
#define FRAME DOT_TARGET static
#include "edgegenre_net_conv.h"
static const net_kernels DOT_KERNELS = {"neondot", dot_conv, neon_depthwise, neon_add, neon_turn};
#endif

const net_kernels *edgegenre_net_choose(void)
{
#if defined(ASKS_KERNEL)
    if (getauxval(AT_HWCAP) & (1UL << 20)) return &DOT_KERNELS; /* HWCAP_ASIMDDP */
#elif defined(EDGEGENRE_NET_DOT)
    (void)NEON_KERNELS;
    return &DOT_KERNELS;
#endif
    return &NEON_KERNELS;
}

#elif defined(HAS_WASM)

#include "edgegenre_net_lanes_wasm.h"
#define CELLS 4
#define BLOCKS 1
#define FN(name) wasm_##name
#define KERNEL WASM
#define FRAME static
#include "edgegenre_net_conv.h"

static const net_kernels WASM_KERNELS = {"simd128", wasm_conv, wasm_depthwise, wasm_add, scalar_turn};

const net_kernels *edgegenre_net_choose(void) { return &WASM_KERNELS; }

#elif defined(HAS_HELIUM)

#include "edgegenre_net_lanes_helium.h"

static const net_kernels HELIUM_KERNELS = {"helium", helium_conv, helium_depthwise, helium_add, scalar_turn};

const net_kernels *edgegenre_net_choose(void) { return &HELIUM_KERNELS; }

#elif defined(HAS_DSP)

#include "edgegenre_net_lanes_dsp.h"

static const net_kernels DSP_KERNELS = {"dsp", dsp_conv, dsp_depthwise, scalar_add, scalar_turn};

const net_kernels *edgegenre_net_choose(void) { return &DSP_KERNELS; }

#else

const net_kernels *edgegenre_net_choose(void) { return &SCALAR_KERNELS; }

#endif
