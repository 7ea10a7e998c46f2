/*
 * The guest that is measured and started: a directory with `firmware`, `kernel`, `initrd` and `cmdline` (the kernel
 * command line behind `cloister.tee=…`); and `initrd-debug`, of a guest with a shell.
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
    const char *firmware; /* a path, "stage0" or "ovmf"; NULL: stage0 on sim and tpm, else OVMF where it is installed */
    const char *kernel, *initrd, *append;            /* each NULL: from the directory */
    bool        is_debug;                            /* whose initrd is initrd-debug */
    const char *root;                                /* in front of the places where distributions put OVMF; NULL: none */
    enum tee    tee;
};

/*
 * Fails NOT_FOUND, with the way out, when there is no bundle, or one that lacks a file, or no OVMF for this TEE where one was asked for.
 * stage0 has not run on SNP or TDX hardware yet; where it is taken there for want of an OVMF, standard error says so.
 */
FALLIBLE guest_bundle_find(const struct guest_bundle_options *options, struct guest_bundle *out, struct err *err);
void     guest_bundle_free(struct guest_bundle *bundle);

static inline void auto_guest_bundle(struct guest_bundle *bundle) { guest_bundle_free(bundle); }
