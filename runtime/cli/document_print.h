/* Documents of a broker, printed for a person or as JSON. */
#pragma once

#include "base/json.h"

/*
 * Prints the array of admin_documents.
 *
 *   with_text    each text, or only name, version and times
 *
 * Fails MALFORMED when it is not what a broker gives.
 */
FALLIBLE documents_print(struct json_object *list, bool as_json, bool with_text, struct err *err);
