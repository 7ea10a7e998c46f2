/*
 * The ocicrypt key provider protocol, exec form: one JSON request in, one JSON answer out. Wraps and unwraps the
 * private options of one layer with a key that the parameters name. [OCICRYPT keyprovider]
 *
 * Parameters, separated by "::" : keyid=kbs:///REPOSITORY/TYPE/TAG, keypath=FILE, algorithm=A256GCM|A256CTR; or
 * sample=true for the published test key.
 */
#pragma once

#include "base/secret.h"

/* Gives the key in the file `path`. */
typedef bool keyprovider_file_fn(void *owner, const char *path, struct secret *out, struct err *err);

/*
 * Answers one request.
 *
 *   request   may hold a layer's key, in ordinary memory, as the protocol has it: the process that reads it is not
 *             dumpable and ends with the answer
 *   answer    yours, AUTO(secret): on unwrapping it holds the layer's key
 *
 * Fails MALFORMED, LIMIT; UNSUPPORTED for an unknown operation, algorithm or packet; CONFIG for parameters that do
 * not fit, with the form that is wanted; UNTRUSTED for a wrong key; or as `file` fails.
 */
FALLIBLE keyprovider_answer(struct bytes request, keyprovider_file_fn *file, void *owner, struct secret *answer,
                            struct err *err);
