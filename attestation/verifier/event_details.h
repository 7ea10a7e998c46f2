/*
 * What an event's data says, as CoCo's policies read it: `details` of a claim. Nothing here is proven: a policy that
 * reads details must ask for digest_matches_event as well. [evidence-formats.md 3.3; TCG-PFP 10.4; UEFI 10.3]
 */
#pragma once

#include "attestation/evidence/event_log.h"
#include "base/json.h"

/*
 * An object with the members that this type of event has: string; unicode_name, variable_name, variable_data;
 * device_paths; data {domain, operation, content}. Empty for other types, and for data that breaks its type's layout.
 * The caller releases it.
 */
struct json_object *event_details(const struct event *e);
