/*
 * What one `cloister run` asks for, and the initdata that allows exactly that: this image by its manifest digest (or,
 * in a registry, by a tag that the image policy must vouch for), this argv, this environment, at this broker.
 * Everything else is denied by the guest.
 */
#pragma once

#include "base/options.h"
#include "keys/api/initdata.h"
#include "keys/ocicrypt/reference.h"
#include "runtime/cli/job_yaml.h"
#include "runtime/oci/layout.h"

enum { CA_FILE_MAX = 64 << 10, IMAGE_CONFIG_FILE_MAX = 512 << 10, RESOLV_CONF_FILE_MAX = 4096 };

struct pod {
    struct layout_reference image;      /* oci:DIR[:TAG]; its directory is "" for an image of a registry */
    char                    manifest[LAYOUT_DIGEST_LEN]; /* "": what the name stands for in its registry */
    const char             *image_name; /* as typed, borrowed; of a registry: in its one form, kept in `name` */
    struct reference_text   name;
    const char             *image_config; /* file that becomes "cdh.toml"; NULL: none; both borrowed */
    const char             *resolv_conf;  /* file that becomes "resolv.conf"; NULL: none */
    char                  **args;       /* borrowed; the image's own command when there are none */
    size_t                  n_args;
    struct option_list      env;        /* "K=V" */
    bool                    network;    /* the guest may have one */
    struct option_list      volume_options, volume_keys; /* as typed: pod_resolve reads them into */
    struct pod_volumes      volumes;
};

/* What a job's file says of arguments, environment and volumes; the options of a command line are added to that. Borrows. */
void pod_of_job(const struct job_yaml *job, struct pod *out);

/* IMAGE: oci:DIR[:TAG], or REGISTRY/REPOSITORY[:TAG][@DIGEST]. Fails as image_reference_read, layout_reference_read and layout_find_manifest do; CONFIG for an environment entry that is not K=V. */
FALLIBLE pod_resolve(const char *image, struct pod *pod, struct err *err);

/*
 * Appends initdata TOML for the pod. The same pod, broker and certificate give the same bytes, so that its digest
 * can be registered beforehand.
 */
FALLIBLE pod_write_initdata(const struct pod *pod, const char *broker_url, const char *broker_ca_file,
                            struct buffer *out, struct err *err);
