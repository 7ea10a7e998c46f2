/* What every `cloister measure` command reads: firmware, kernel, initrd, command line; and how it writes. */
#pragma once

#include "base/bytes.h"
#include "base/json.h"
#include "base/ossl.h"
#include "firmware/measure/kernel_hashes.h"
#include "firmware/measure/reference_values.h"

enum { EXIT_UNUSABLE = 2 };

struct measure_inputs {
    const char   *firmware_path, *kernel_path, *initrd_path, *append, *corim_path, *rvps_path;
    uint64_t      n_vcpus;
    struct buffer firmware, kernel, initrd;
    uint8_t       firmware_sha256[SHA256_LEN]; /* of the file */
};

/* Reads the files that the paths name. Fails CONFIG for an initrd or a command line without a kernel. */
FALLIBLE measure_inputs_load(struct measure_inputs *in, struct err *err);
void     measure_inputs_free(struct measure_inputs *in);

/* Writes --corim and --rvps, those that were given. */
FALLIBLE measure_write_references(const struct measure_inputs *in, const struct reference_values *values,
                                  struct err *err);

/*
 * The names and SHA-256 of the files, and the command line.
 *
 *   hashes    those of kernel, initrd and command line; not used without a kernel
 */
struct json_object *measure_inputs_json(const struct measure_inputs *in, const struct kernel_hashes *hashes);

void measure_print_json(struct json_object *object);

/* Prints the one line of a failure and gives the exit code: 2 for unusable arguments, else 1. */
int measure_failed(const char *command, const struct err *err);

int measure_snp(int argc, char **argv);
int measure_tdx(int argc, char **argv);
int measure_tpm(int argc, char **argv);

static inline void auto_measure_inputs(struct measure_inputs *in) { measure_inputs_free(in); }
