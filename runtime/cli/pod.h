/*
 * What one `cloister run` asks for, and the initdata that allows exactly that: this image by its manifest digest,
 * this argv, this environment, at this broker. Everything else is denied by the guest.
 */
#pragma once

#include "base/options.h"
#include "keys/api/initdata.h"
#include "runtime/oci/layout.h"

enum { CA_FILE_MAX = 64 << 10 };

struct pod {
    struct layout_reference image;
    char                    manifest[LAYOUT_DIGEST_LEN];
    const char             *image_name; /* as typed; borrowed */
    char                  **args;       /* borrowed; the image's own command when there are none */
    size_t                  n_args;
    struct option_list      env;        /* "K=V" */
    bool                    network;    /* the guest may have one */
};

/* Fails as layout_reference_read and layout_find_manifest do; CONFIG for an environment entry that is not K=V. */
FALLIBLE pod_resolve(const char *image, struct pod *pod, struct err *err);

/*
 * Appends initdata TOML for the pod. The same pod, broker and certificate give the same bytes, so that its digest
 * can be registered beforehand.
 */
FALLIBLE pod_write_initdata(const struct pod *pod, const char *broker_url, const char *broker_ca_file,
                            struct buffer *out, struct err *err);
