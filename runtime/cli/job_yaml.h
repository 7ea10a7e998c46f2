/*
 * A batch job in a file: `cloister job run -f JOB.yaml`. One YAML document, one mapping; whatever is not listed here is
 * refused, with line and column:
 *
 *   image: oci:DIR[:TAG] or REGISTRY/REPOSITORY[:TAG]@DIGEST
 *   args: [TEXT, ...]                     optional, as is everything below
 *   env: { NAME: VALUE, ... }
 *   cpus, memory, scratch: NUMBER         as the options of those names
 *   broker, broker_ca, nonce, receipt: TEXT
 *   volumes: [{ name, file, path, key?, mode? }, ...]      mode: rw (the default), ro, new
 */
#pragma once

#include "base/json.h"
#include "base/options.h"
#include "runtime/cli/pod_volume.h"

enum { JOB_YAML_LEN_MAX = 64 << 10, JOB_YAML_ARGS_MAX = 256 };

struct job_yaml {
    struct json_object *kept; /* owns the texts */
    const char         *image, *broker, *broker_ca, *nonce, *receipt; /* NULL: not said */
    char               *args[JOB_YAML_ARGS_MAX];
    size_t              n_args;
    struct option_list  env; /* "K=V" */
    uint64_t            cpus, memory_mib, scratch_mib; /* 0: not said */
    struct pod_volumes  volumes;
};
void job_yaml_free(struct job_yaml *job);
static inline void auto_job_yaml(struct job_yaml *job) { job_yaml_free(job); }

/*
 * Takes "-f FILE" (or "--file FILE") off the front of a command's arguments and reads it; without it does nothing. What stands
 * behind it is for options_parse: there it has the last word. Fails as job_yaml_read, and as file_read.
 */
FALLIBLE job_yaml_of_arguments(int *argc, char ***argv, struct job_yaml *out, struct err *err);

/* `out` is written only on success; release with AUTO(job_yaml). Fails MALFORMED, LIMIT. */
FALLIBLE job_yaml_read(struct bytes text, struct job_yaml *out, struct err *err);
