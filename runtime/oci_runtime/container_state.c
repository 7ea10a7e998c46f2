#include "runtime/oci_runtime/container_state.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/file.h"
#include "runtime/oci_runtime/control.h"

void container_state_free(struct container_state *state)
{
    free(state->id);
    free(state->folder);
    free(state->bundle);
    if (state->annotations)
        json_object_put(state->annotations);
    *state = (struct container_state){ 0 };
}

static FALLIBLE check_id(const char *id, struct err *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.";
    size_t            len       = strlen(id);

    return (len > 0 && len <= CONTAINER_ID_LEN_MAX && strspn(id, letters) == len && id[0] != '.') ||
           fail_with(err, ERR_CONFIG, "container id \"%.60s\": letters, digits and _+-. are possible", id);
}

static char *text_copy(const char *text)
{
    char *copy = strdup(text);

    if (!copy)
        abort();
    return copy;
}

FALLIBLE container_state_new(const char *root, const char *id, const char *bundle, struct container_state *out, struct err *err)
{
    AUTO(container_state) struct container_state s = { .id = text_copy(id), .bundle = text_copy(bundle) };
    time_t                                       now = time(NULL);
    struct tm                                    utc;

    if (!check_id(id, err) || !directory_make(root, err))
        return false;
    if (asprintf(&s.folder, "%s/%s", root, id) < 0 || !gmtime_r(&now, &utc))
        abort();
    if (mkdir(s.folder, 0700) < 0)
        return errno == EEXIST ? fail_with(err, ERR_CONFIG, "container \"%s\" already exists", id) : err_os(err, "%s", s.folder);
    (void) strftime(s.created, sizeof s.created, "%Y-%m-%dT%H:%M:%SZ", &utc); /* fits */
    *out = TAKE(s);
    return true;
}

FALLIBLE container_state_save(const struct container_state *state, struct err *err)
{
    AUTO(json) struct json_object *document = json_object_new_object();
    AUTO(buffer) struct buffer     text = { 0 }, path = { 0 };

    json_add_text(document, "id", state->id);
    json_add_text(document, "bundle", state->bundle);
    json_add_text(document, "created", state->created);
    json_add(document, "pid", json_object_new_int64(state->monitor.pid));
    json_add(document, "start", json_object_new_int64((int64_t) state->monitor.start));
    if (state->annotations)
        json_add(document, "annotations", json_object_get(state->annotations));
    json_write(document, &text);
    buffer_printf(&path, "%s/state.json", state->folder);
    return file_write(buffer_text(&path), buffer_bytes(&text), 0600, err);
}

static FALLIBLE read_state(struct bytes text, struct container_state *s, struct err *err)
{
    AUTO(json) struct json_object *document = NULL;
    struct json_object            *annotations;
    const char                    *bundle, *created;
    uint64_t                       pid;

    if (!json_read(text, STATE_LEN_MAX, &document, err) || !json_get_text(document, "bundle", &bundle, err) ||
        !json_get_text(document, "created", &created, err) || !json_get_u64(document, "pid", INT32_MAX, &pid, err) ||
        !json_get_u64(document, "start", INT64_MAX, &s->monitor.start, err))
        return context(err, "state.json");
    s->bundle      = text_copy(bundle);
    s->monitor.pid = (pid_t) pid;
    (void) snprintf(s->created, sizeof s->created, "%s", created); /* a longer one is cut */
    if (json_object_object_get_ex(document, "annotations", &annotations))
        s->annotations = json_object_get(annotations);
    return true;
}

FALLIBLE container_state_load(const char *root, const char *id, struct container_state *out, struct err *err)
{
    AUTO(container_state) struct container_state s = { .id = text_copy(id) };
    AUTO(buffer) struct buffer                   path = { 0 }, text = { 0 };

    if (!check_id(id, err))
        return false;
    if (asprintf(&s.folder, "%s/%s", root, id) < 0)
        abort();
    buffer_printf(&path, "%s/state.json", s.folder);
    if (!file_read(buffer_text(&path), STATE_LEN_MAX, &text, err))
        return err->kind == ERR_NOT_FOUND ? fail_with(err, ERR_NOT_FOUND, "container \"%s\" does not exist", id) : false;
    if (!read_state(buffer_bytes(&text), &s, err))
        return false;
    *out = TAKE(s);
    return true;
}

FALLIBLE container_state_remove(const struct container_state *state, struct err *err)
{
    return directory_remove(state->folder, err);
}

const char *container_status(const struct container_state *state, char status[static 16])
{
    AUTO(json) struct json_object *request = json_object_new_object(), *answer = NULL;
    const char                    *text;
    struct err                     err;

    json_add_text(request, "do", "state");
    bool said = process_mark_lives(&state->monitor) && control_ask(state->folder, request, &answer, &err) &&
                json_get_text(answer, "status", &text, &err);
    (void) snprintf(status, 16, "%s", said ? text : "stopped"); /* the words are shorter */
    return status;
}

struct json_object *container_state_json(const struct container_state *state)
{
    struct json_object *document = json_object_new_object();
    char                status[16];

    (void) container_status(state, status); /* it yields its argument */
    json_add_text(document, "ociVersion", "1.0.2");
    json_add_text(document, "id", state->id);
    json_add_text(document, "status", status);
    json_add(document, "pid", json_object_new_int64(strcmp(status, "stopped") == 0 ? 0 : state->monitor.pid));
    json_add_text(document, "bundle", state->bundle);
    json_add_text(document, "created", state->created);
    if (state->annotations)
        json_add(document, "annotations", json_object_get(state->annotations));
    return document;
}
