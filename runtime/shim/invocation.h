/* How an engine calls the program: Go's flags, then one word. [containerd runtime/v2 README; containers.md of CRI-O's `vm` type] */
#pragma once

#include "base/err.h"

enum invocation_action {
    INVOCATION_START,
    INVOCATION_DELETE,
    INVOCATION_SWEEP,    /* of an administrator, or a timer */
    INVOCATION_INFO,     /* -info */
    INVOCATION_VERSION,  /* -v, --version */
    INVOCATION_FEATURES, /* CRI-O asks */
    INVOCATION_HELP
};

struct invocation {
    enum invocation_action action;
    const char            *namespace, *id; /* never NULL after a start or a delete */
    const char            *address;        /* of containerd's gRPC socket; "": CRI-O */
    const char            *publish_binary; /* "" as above */
    const char            *bundle;         /* "": the current directory */
    bool                   debug;
};

/*
 * Reads `argv`, from which the texts are borrowed. One dash or two, "-x v" or "-x=v".
 *
 * Fails CONFIG: an unknown flag or action, a missing value, an id or namespace that is no plain name.
 */
FALLIBLE invocation_read(int argc, char **argv, struct invocation *out, struct err *err);
