/*
 * The ocicrypt key provider protocol, exec form: one JSON request in, one JSON answer out. Wraps and unwraps the
 * private options of one layer with a key that the parameters name. [OCICRYPT keyprovider]
 *
 * Parameters, separated by "::" : keyid=kbs:///REPOSITORY/TYPE/TAG, keypath=FILE, algorithm=A256GCM|A256CTR; or
 * sample=true for the published test key. With a broker, all may be left out: see keyprovider_keys.
 */
#pragma once

#include "base/secret.h"

/* Gives the key in the file `path`. */
typedef bool keyprovider_file_fn(void *owner, const char *path, struct secret *out, struct err *err);

/*
 * Where keys are kept. With a broker, wrapping makes and registers keys in one step: the key of `keypath` is registered
 * under `keyid`; without a file, the broker's key under `keyid`, or a fresh one; without `keyid`, a fresh one under a name
 * of its own. Unwrapping without a file asks the broker.
 */
struct keyprovider_keys {
    keyprovider_file_fn *file;
    /* NULL: there is no broker. `kid` is kbs:///REPOSITORY/TYPE/TAG; `fetch` fails NOT_FOUND when it has none. */
    bool (*fetch)(void *owner, const char *kid, struct secret *out, struct err *err);
    bool (*keep)(void *owner, const char *kid, const struct secret *key, struct err *err);
    void *owner;
};

/*
 * Answers one request.
 *
 *   request   may hold a layer's key, in ordinary memory, as the protocol has it: the process that reads it is not
 *             dumpable and ends with the answer
 *   answer    yours, AUTO(secret): on unwrapping it holds the layer's key
 *
 * Fails MALFORMED, LIMIT; UNSUPPORTED for an unknown operation, algorithm or packet; CONFIG for parameters that do
 * not fit, with the form that is wanted; UNTRUSTED for a wrong key; or as a function of `keys` fails.
 */
FALLIBLE keyprovider_answer(struct bytes request, const struct keyprovider_keys *keys, struct secret *answer,
                            struct err *err);
