/* What the subcommands of `cloister verify` share: their names, how they answer, and --explain. */
#pragma once

#include "attestation/verifier/verdict.h"
#include "base/json.h"

int verify_snp(int argc, char **argv);
int verify_tdx(int argc, char **argv);
int verify_tpm(int argc, char **argv);

enum { VERIFY_ACCEPTED = 0, VERIFY_REJECTED = 1, VERIFY_UNUSABLE = 2 }; /* exit codes */

/*
 * Prints {"verdict":...,"reason":CODE,"status":...,"claims":{...}} and returns the exit code.
 *
 *   status         short text, or NULL when none was found
 *   claims_take    NULL prints an empty object
 */
int verify_answer(const struct verdict *v, const char *status, struct json_object *claims_take);

/* Prints one line, `cloister: verify TEE: what`, and returns VERIFY_UNUSABLE. */
int verify_unusable(const char *tee, const struct err *err);

/* --explain: one line per check, on standard error, so that standard output stays one JSON object. */
const struct verdict_listener *verify_explainer(bool wanted);

/*
 * Files as services and tools hand them out, in the one form that the verifier takes. What is in none of these forms is
 * left as it is: the verifier says what is wrong with it.
 */
void verify_list_normalize(struct buffer *list);   /* PEM, or DER in hex as a PCCS sends it: becomes DER */
void verify_chain_normalize(struct buffer *chain); /* percent-encoded, as Intel's service sends it in a header: becomes PEM */
/* Of several certificates in PEM the first or the last remains, as DER. */
enum verify_position { VERIFY_FIRST, VERIFY_LAST };
void verify_certificate_pick(struct buffer *certificates, enum verify_position which);

/* The time of --at (RFC 3339, in UTC) or of this machine's clock. Fails CONFIG. */
FALLIBLE verify_time(const char *at, int64_t *out, struct err *err);
