/* A process as engines describe it: of config.json's member `process`, or of one that is run in a container later. */
#pragma once

#include "base/json.h"
#include "guest/api/agent.pb-c.h"

struct process_spec {
    char      **args; /* borrow from the document; the arrays are owned */
    char      **env;
    size_t      n_args, n_env;
    bool        terminal, has_user;
    uint32_t    uid, gid; /* valid when has_user */
    const char *cwd;      /* NULL: not said */
};
void process_spec_free(struct process_spec *spec); /* the arrays */

/* `process` NULL: none. Fails MALFORMED, LIMIT. `out` is yours, also on failure. */
FALLIBLE process_spec_from(struct json_object *process, struct process_spec *out, struct err *err);

/*
 * The process of an exec request; `document` owns the texts and is yours. Fails as that; UNSUPPORTED for capabilities that no
 * container of a guest has.
 */
FALLIBLE process_spec_read(struct bytes text, struct json_object **document, struct process_spec *out, struct err *err);

/*
 * Puts a later process into the request: its argv and terminal, and of user, directory and environment what is not its
 * container's. Engines write the container's own into every exec, as they take it from an image whose content they do not
 * know: the guest has these itself, from the image that was verified.
 *
 *   room    that the request borrows from; yours, AUTO(process_room)
 */
struct process_room {
    char   user[24];
    char **env; /* the array is owned */
};
void process_spec_ask(const struct process_spec *container, const struct process_spec *exec, struct process_room *room,
                      Agent__ExecProcessRequest *request);
static inline void auto_process_room(struct process_room *room) { free(room->env); }
