/* Reference values by the names that policies ask for: query_reference_value("snp_launch_measurement"). */
#pragma once

#include "keys/store/store.h"

/*
 * Appends the JSON value registered under `name`; nothing when there is none or it has expired.
 *
 *   tee, measurement    of the guest that is judged; its measurement counts as registered under the name that
 *                       Trustee's policies use when store_reference_holds it for any path. NULL: no guest
 */
FALLIBLE reference_value_find(struct store *store, const char *name, const char *tee, struct bytes measurement,
                              int64_t now, struct buffer *json, struct err *err);

/* Whether `text` is the registered value of `name`, or one of a list. */
FALLIBLE reference_value_holds(struct store *store, const char *name, const char *text, int64_t now, bool *out,
                               struct err *err);

/* The name under which a launch measurement of this TEE is registered; NULL when it has none of its own. */
const char *reference_measurement_name(const char *tee);
