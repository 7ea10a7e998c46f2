/*
 * What is on disk of a container: a folder below the root with `state.json`, the monitor's socket `control` and, for
 * an image made of a root file system, `image/`. Gone after `delete`. [OCI-RUNTIME runtime.md, State]
 */
#pragma once

#include "base/json.h"
#include "runtime/shim/record.h"

enum { CONTAINER_ID_LEN_MAX = 128, STATE_LEN_MAX = 1 << 20 };

/* Release with AUTO(container_state). */
struct container_state {
    char               *id, *folder, *bundle; /* owned */
    struct process_mark monitor;
    struct json_object *annotations;          /* owned; may be NULL */
    char                created[32];          /* RFC 3339 */
};
void container_state_free(struct container_state *state);
static inline void auto_container_state(struct container_state *state) { container_state_free(state); }

/* Makes the folder. Fails CONFIG for an id that is none or that is in use. */
FALLIBLE container_state_new(const char *root, const char *id, const char *bundle, struct container_state *out, struct err *err);
FALLIBLE container_state_save(const struct container_state *state, struct err *err);
/* Fails NOT_FOUND, "container X does not exist". */
FALLIBLE container_state_load(const char *root, const char *id, struct container_state *out, struct err *err);
FALLIBLE container_state_remove(const struct container_state *state, struct err *err);

/* "created", "running", "paused" or "stopped": the monitor is asked. */
const char *container_status(const struct container_state *state, char status[static 16]);
/* The object that `state` prints and `list` has one of for each. */
struct json_object *container_state_json(const struct container_state *state);
