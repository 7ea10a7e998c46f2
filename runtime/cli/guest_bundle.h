/*
 * The guest that is measured and started: a directory with `firmware`, `kernel`, `initrd` and `cmdline` (the kernel
 * command line behind `cloister.tee=…`).
 */
#pragma once

#include "base/auto.h"
#include "base/bytes.h"
#include "runtime/vmm/vm.h"

struct guest_bundle {
    char *firmware, *kernel, *initrd; /* paths, owned */
    char *append;                     /* the whole command line, owned */
};

struct guest_bundle_options {
    const char *directory;                         /* NULL: $CLOISTER_GUEST, or where cloister was built or installed */
    const char *firmware, *kernel, *initrd, *append; /* each NULL: from the directory */
    enum tee    tee;
};

/* Fails NOT_FOUND, with the way out, when there is no bundle. */
FALLIBLE guest_bundle_find(const struct guest_bundle_options *options, struct guest_bundle *out, struct err *err);
void     guest_bundle_free(struct guest_bundle *bundle);

static inline void auto_guest_bundle(struct guest_bundle *bundle) { guest_bundle_free(bundle); }
