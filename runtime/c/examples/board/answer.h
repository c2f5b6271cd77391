/* What the logits mean: one label, every label that reaches its threshold, or a path down a tree of genres that ends
 * above the first node that is not sure. Integers alone. Part of network.h, which defines what stands here in capitals. */
#define EDGEGENRE_ONE_LABEL 0
#define EDGEGENRE_LABELS 1
#define EDGEGENRE_PATH 2

/* Puts the labels of the answer into names, of several the most probable first, of a path from the top level down.
 * Returns how many; 0: uncertain. */
static inline int network_answer(const int8_t *logits, const char *names[EDGEGENRE_NETWORK_NAMES])
{
#if EDGEGENRE_NETWORK_TASK == EDGEGENRE_ONE_LABEL
    int best = 0;
    for (int i = 1; i < EDGEGENRE_NETWORK_CLASSES; i++)
        if (logits[i] > logits[best]) best = i;
    names[0] = network_labels[best];
    return 1;
#elif EDGEGENRE_NETWORK_TASK == EDGEGENRE_LABELS
    int n = 0;
    for (int step = 127; step >= -128; step--)
        for (int i = 0; i < EDGEGENRE_NETWORK_CLASSES; i++)
            if (logits[i] == step && step >= network_thresholds[i]) names[n++] = network_labels[i];
    return n;
#else
    uint64_t sums[EDGEGENRE_NETWORK_NODES] = {0}, total = 0;
    int n = 0, largest = -128;
    for (int i = 0; i < EDGEGENRE_NETWORK_CLASSES; i++)
        if (logits[i] > largest) largest = logits[i];
    for (int i = 0; i < EDGEGENRE_NETWORK_CLASSES; i++) {
        uint32_t power = network_powers[largest - logits[i]]; /* of e, largest 2^24 */
        total += power;
        for (int node = network_leaves[i]; node >= 0; node = network_parents[node]) sums[node] += power;
    }
    for (int above = -1, best; n < EDGEGENRE_NETWORK_NAMES; above = best) {
        best = -1;
        for (int node = 0; node < EDGEGENRE_NETWORK_NODES; node++)
            if (network_parents[node] == above && (best < 0 || sums[node] > sums[best])) best = node;
        if (best < 0 || (sums[best] << 16) < total * network_thresholds[n]) break;
        names[n++] = network_labels[best];
    }
    return n;
#endif
}
