/* The kernels of this processor, and the choice among them. EDGEGENRE_NET_PORTABLE leaves plain C alone. */

#include "edgegenre_net_internal.h"

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define UNROLL _Pragma("GCC unroll 16")
#else
#define UNROLL
#endif

#include "edgegenre_net_lanes_scalar.h"

#if defined(EDGEGENRE_NET_PORTABLE)
/* nothing but plain C */
#elif defined(__x86_64__) && defined(__GNUC__)
#define HAS_AVX2
#include "edgegenre_net_lanes_avx2.h"
#define CELLS 4
#define FN(name) avx2_##name
#define KERNEL AVX2
#define FRAME __attribute__((target("avx2"))) static
#include "edgegenre_net_conv.h"
#undef CELLS
#undef FN
#undef KERNEL
#undef FRAME
#define CELLS 8
#define FN(name) vnni_##name
#define KERNEL VNNI
#define FRAME __attribute__((target("avx2,avx512f,avx512vl,avx512bw,avx512vnni"))) static
#include "edgegenre_net_conv.h"
#undef CELLS
#undef FN
#undef KERNEL
#undef FRAME
static const net_kernels AVX2_KERNELS = {"avx2", avx2_conv, avx2_depthwise, avx2_add};
static const net_kernels VNNI_KERNELS = {"avx512vnni", vnni_conv, avx2_depthwise, avx2_add};
#endif

static const net_kernels SCALAR_KERNELS = {"portable", scalar_conv, scalar_depthwise, scalar_add};

const net_kernels *edgegenre_net_choose(void)
{
#if defined(HAS_AVX2)
#if !defined(EDGEGENRE_NET_NO_VNNI)
    if (__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
        return &VNNI_KERNELS;
#else
    (void)VNNI_KERNELS;
#endif
    if (__builtin_cpu_supports("avx2")) return &AVX2_KERNELS;
#endif
    return &SCALAR_KERNELS;
}
