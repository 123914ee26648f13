/* A fake of NVIDIA's management library, for the tests of its binding: the same functions and structures as in
   nvml.h, cards out of thin air. -DOLD leaves out what came with later drivers. */

#include <stddef.h>
#include <stdio.h>
#include <string.h>

typedef int code;
typedef void *device;
enum { OK = 0, UNINITIALIZED = 1, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT = 7 };

/* What a test sets. */
int init_code = OK, cards = 1, mig = 0, lost = 0, processes = 2, utilization_code = OK;
/* What a test reads. */
int inits = 0, shutdowns = 0;

#define CARD(d) ((int)(size_t)(d) - 1000)
#define SLICE(d) ((int)(size_t)(d) - 2000)
#define IS_SLICE(d) ((size_t)(d) >= 2000)
static const char *profiles[] = {"3g.40gb", "", "1c.2g.20gb"};
#define MIB (1024ull * 1024)

code nvmlInit_v2(void) { inits++; return init_code; }
code nvmlShutdown(void) { shutdowns++; return OK; }
const char *nvmlErrorString(code c) {
    if (c == 18) return "Driver/library version mismatch";
    if (c == 9) return "Driver Not Loaded";
    if (c == 15) return "GPU is lost";
    return "Unknown Error";
}
code nvmlDeviceGetCount_v2(unsigned *n) { *n = cards; return OK; }
code nvmlDeviceGetHandleByIndex_v2(unsigned i, device *d) {
    if ((int)i >= cards) return INVALID;
    *d = (device)(size_t)(1000 + i);
    return OK;
}
code nvmlDeviceGetName(device d, char *text, unsigned room) {
    if (IS_SLICE(d) && *profiles[SLICE(d)])
        snprintf(text, room, "NVIDIA H100 80GB HBM3 MIG %s", profiles[SLICE(d)]);
    else
        snprintf(text, room, "NVIDIA H100 80GB HBM3");
    return OK;
}
code nvmlDeviceGetUUID(device d, char *text, unsigned room) {
    snprintf(text, room, IS_SLICE(d) ? "MIG-%d" : "GPU-%d", IS_SLICE(d) ? SLICE(d) : CARD(d));
    return OK;
}
typedef struct { unsigned long long total, free, used; } memory1;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory2;
code nvmlDeviceGetMemoryInfo(device d, memory1 *m) {
    if (lost) return 15;
    m->total = 81559 * MIB; m->used = 1500 * MIB; m->free = m->total - m->used;
    return OK;
}
code nvmlDeviceGetTemperature(device d, int sensor, unsigned *t) {
    if (IS_SLICE(d) || sensor != 0) return NOT_SUPPORTED;
    *t = 52;
    return OK;
}
code nvmlDeviceGetPowerUsage(device d, unsigned *mw) { *mw = 432250; return OK; }
code nvmlDeviceGetUtilizationRates(device d, unsigned *rates) {
    if (mig || utilization_code) return mig ? NOT_SUPPORTED : utilization_code;
    rates[0] = 97; rates[1] = 12;
    return OK;
}
typedef struct { unsigned pid; unsigned long long used; } process1;
typedef struct { unsigned pid; unsigned long long used; unsigned gi, ci; } process2;
#ifdef OLD
code nvmlDeviceGetComputeRunningProcesses(device d, unsigned *n, process1 *found) {
#else
code nvmlDeviceGetComputeRunningProcesses_v2(device d, unsigned *n, process2 *found) {
#endif
    if (mig && !IS_SLICE(d)) { *n = 0; return OK; } /* without rights the card does not tell of its slices */
    if (mig && SLICE(d) != 0) { *n = 0; return OK; }
    unsigned room = *n;
    *n = processes;
    if ((int)room < processes) return INSUFFICIENT;
    for (int i = 0; i < processes; i++) {
        found[i].pid = 100 + i;
        found[i].used = i == 1 ? ~0ull : (i + 1) * 1000 * MIB;
    }
    return OK;
}
#ifndef OLD
code nvmlDeviceGetGraphicsRunningProcesses_v2(device d, unsigned *n, process2 *found) {
    *n = 1; found[0].pid = 100; found[0].used = 1000 * MIB;
    return OK;
}
code nvmlDeviceGetMemoryInfo_v2(device d, memory2 *m) {
    if (m->version != (sizeof(memory2) | 2 << 24)) return 25;
    if (lost) return 15;
    m->total = (IS_SLICE(d) ? 9984 : 81559) * MIB; m->used = 1000 * MIB; m->reserved = 500 * MIB;
    m->free = m->total - m->used - m->reserved;
    return OK;
}
code nvmlDeviceGetMigMode(device d, unsigned *current, unsigned *pending) {
    if (mig < 0) return NOT_SUPPORTED;
    *current = *pending = mig;
    return OK;
}
code nvmlDeviceGetMaxMigDeviceCount(device d, unsigned *n) { *n = 7; return OK; }
code nvmlDeviceGetMigDeviceHandleByIndex(device d, unsigned i, device *slice) {
    if (i == 1 || i > 3) return NOT_FOUND; /* places are not filled from the first */
    *slice = (device)(size_t)(2000 + (i == 0 ? 0 : i - 1));
    return OK;
}
typedef struct { unsigned sm, ce, dec, enc, jpeg, ofa, slices, compute; unsigned long long memory_mb; } attributes;
code nvmlDeviceGetAttributes_v2(device d, attributes *a) {
    memset(a, 0, sizeof *a);
    a->slices = 1; a->compute = 1; a->memory_mb = 9984;
    return OK;
}
#endif
