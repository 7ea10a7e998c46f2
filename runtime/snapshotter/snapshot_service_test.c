#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "guest/api/message.h"
#include "runtime/snapshotter/snapshot_service.h"
#include "runtime/snapshotter/snapshots.pb-c.h"
#include "tests/harness/test.h"

#define PATH "/containerd.services.snapshots.v1.Snapshots/"

struct fixture {
    char                   *root;
    struct snapshot_store  *store;
    struct snapshot_service service;
    struct grpc_reply       reply;
};

/* Layers with the label "packed" stay packed. */
static bool stays_packed(void *owner, struct json_object *labels)
{
    (void) owner;
    return json_object_object_get_ex(labels, "packed", NULL);
}

static void set_up(struct fixture *f)
{
    struct err err;

    *f = (struct fixture){ 0 };
    assert_true(directory_make_temporary("cloister-snapshots-", &f->root, &err));
    assert_true(snapshot_store_open(":memory:", &f->store, &err));
    f->service = (struct snapshot_service){ .store = f->store, .root = f->root, .stays_packed = stays_packed };
    assert_true(snapshot_service_sweep(&f->service, &err));
}

static void auto_fixture(struct fixture *f)
{
    struct err err;

    buffer_free(&f->reply.messages);
    snapshot_store_close(f->store);
    assert_true(directory_remove(f->root, &err));
    free(f->root);
}

static enum grpc_status call(struct fixture *f, const char *path, const ProtobufCMessage *request)
{
    AUTO(buffer) struct buffer wire = { 0 };

    message_append(&wire, request);
    buffer_free(&f->reply.messages);
    f->reply = (struct grpc_reply){ .status = GRPC_OK };
    snapshot_service_call(&f->service, path, buffer_bytes(&wire), &f->reply);
    return f->reply.status;
}

#define TEXT(t) ((char *) (uintptr_t) (t))

static enum grpc_status prepare(struct fixture *f, const char *method, const char *key, const char *parent, const char *target, bool packed)
{
    Snapshots__PrepareRequest request = SNAPSHOTS__PREPARE_REQUEST__INIT;
    Snapshots__Label          ref = SNAPSHOTS__LABEL__INIT, mark = SNAPSHOTS__LABEL__INIT, *labels[2] = { &ref, &mark };

    ref.key          = TEXT("containerd.io/snapshot.ref");
    ref.value        = TEXT(target);
    mark.key         = TEXT("packed");
    request.key      = TEXT(key);
    request.parent   = TEXT(parent);
    request.labels   = labels;
    request.n_labels = !target ? 0 : packed ? 2 : 1;
    return call(f, method, &request.base);
}

static enum grpc_status commit(struct fixture *f, const char *key, const char *name)
{
    Snapshots__CommitRequest request = SNAPSHOTS__COMMIT_REQUEST__INIT;

    request.key  = TEXT(key);
    request.name = TEXT(name);
    return call(f, PATH "Commit", &request.base);
}

static enum grpc_status by_key(struct fixture *f, const char *method, const char *key)
{
    Snapshots__KeyRequest request = SNAPSHOTS__KEY_REQUEST__INIT;

    request.key = TEXT(key);
    return call(f, method, &request.base);
}

/* The one mount of the last answer as "type source options", with the root written as R. */
static void mount_text(struct fixture *f, char out[static 600])
{
    AUTO(message) ProtobufCMessage *read = NULL;
    AUTO(buffer) struct buffer      text = { 0 };
    struct err                      err;

    assert_true(message_read(&snapshots__mounts_response__descriptor,
                             (struct bytes){ f->reply.messages.at + 5, f->reply.messages.len - 5 }, MESSAGE_EXACT, &read, &err));
    const Snapshots__MountsResponse *answer = (const Snapshots__MountsResponse *) read;
    assert_int_equal(answer->n_mounts, 1);
    buffer_printf(&text, "%s %s", answer->mounts[0]->type, answer->mounts[0]->source);
    for (size_t i = 0; i < answer->mounts[0]->n_options; i++)
        buffer_printf(&text, " %s", answer->mounts[0]->options[i]);
    size_t n = 0;
    for (const char *at = buffer_text(&text); *at; at++)
        if (strncmp(at, f->root, strlen(f->root)) == 0) {
            out[n++] = 'R';
            at += strlen(f->root) - 1;
        } else
            out[n++] = *at;
    out[n] = 0;
}

static void a_packed_layer_is_there_without_a_folder(void **state)
{
    AUTO(fixture) struct fixture f;
    AUTO(buffer) struct buffer   folder = { 0 };
    AUTO(message) ProtobufCMessage *read = NULL;
    struct err                   err;
    struct stat                  at;

    (void) state;
    set_up(&f);
    assert_int_equal(prepare(&f, PATH "Prepare", "extract-1", "", "sha256:one", true), GRPC_ALREADY_EXISTS);
    assert_string_equal(f.reply.text, "target snapshot sha256:one");
    assert_int_equal(prepare(&f, PATH "Prepare", "extract-2", "sha256:one", "sha256:two", true), GRPC_ALREADY_EXISTS);
    assert_int_equal(prepare(&f, PATH "Prepare", "extract-3", "sha256:one", "sha256:two", true), GRPC_ALREADY_EXISTS); /* again */
    assert_int_equal(by_key(&f, PATH "Stat", "sha256:two"), GRPC_OK);
    assert_true(message_read(&snapshots__stat_response__descriptor,
                             (struct bytes){ f.reply.messages.at + 5, f.reply.messages.len - 5 }, MESSAGE_EXACT, &read, &err));
    const Snapshots__Info *info = ((const Snapshots__StatResponse *) read)->info;
    assert_string_equal(info->parent, "sha256:one");
    assert_int_equal(info->kind, SNAPSHOT_COMMITTED);
    assert_int_equal(info->n_labels, 2); /* by which containerd finds it: its reference is among them */
    assert_string_equal(info->labels[0]->value, "sha256:two");
    buffer_printf(&folder, "%s/snapshots/2", f.root);
    assert_true(stat(buffer_text(&folder), &at) < 0);
    assert_int_equal(by_key(&f, PATH "Usage", "sha256:two"), GRPC_OK);
}

static void a_container_on_packed_layers_gets_an_empty_folder(void **state)
{
    AUTO(fixture) struct fixture f;
    char                         text[600];

    (void) state;
    set_up(&f);
    assert_int_equal(prepare(&f, PATH "Prepare", "e", "", "sha256:one", true), GRPC_ALREADY_EXISTS);
    assert_int_equal(prepare(&f, PATH "Prepare", "container", "sha256:one", NULL, false), GRPC_OK);
    mount_text(&f, text);
    assert_string_equal(text, "bind R/snapshots/2/fs rw rbind");
    assert_int_equal(by_key(&f, PATH "Mounts", "container"), GRPC_OK);
    mount_text(&f, text);
    assert_string_equal(text, "bind R/snapshots/2/fs rw rbind");
}

static void plain_layers_become_an_overlay(void **state)
{
    AUTO(fixture) struct fixture f;
    char                         text[600];

    (void) state;
    set_up(&f);
    assert_int_equal(prepare(&f, PATH "Prepare", "e1", "", "one", false), GRPC_OK);
    assert_int_equal(commit(&f, "e1", "one"), GRPC_OK);
    assert_int_equal(prepare(&f, PATH "Prepare", "e2", "one", "two", false), GRPC_OK);
    mount_text(&f, text);
    assert_string_equal(text, "overlay overlay workdir=R/snapshots/2/work upperdir=R/snapshots/2/fs lowerdir=R/snapshots/1/fs");
    assert_int_equal(commit(&f, "e2", "two"), GRPC_OK);
    assert_int_equal(prepare(&f, PATH "View", "look", "two", NULL, false), GRPC_OK);
    mount_text(&f, text);
    assert_string_equal(text, "overlay overlay lowerdir=R/snapshots/2/fs:R/snapshots/1/fs");
    assert_int_equal(prepare(&f, PATH "View", "look1", "one", NULL, false), GRPC_OK);
    mount_text(&f, text);
    assert_string_equal(text, "bind R/snapshots/1/fs ro rbind");
}

static void what_cannot_be_is_refused(void **state)
{
    AUTO(fixture) struct fixture f;

    (void) state;
    set_up(&f);
    assert_int_equal(prepare(&f, PATH "Prepare", "a", "", NULL, false), GRPC_OK);
    assert_int_equal(prepare(&f, PATH "Prepare", "a", "", NULL, false), GRPC_ALREADY_EXISTS);
    assert_int_equal(prepare(&f, PATH "Prepare", "b", "a", NULL, false), GRPC_INVALID_ARGUMENT);
    assert_string_equal(f.reply.text, "not committed: parent a");
    assert_int_equal(prepare(&f, PATH "Prepare", "b", "none", NULL, false), GRPC_NOT_FOUND);
    assert_int_equal(prepare(&f, PATH "Prepare", "", "", NULL, false), GRPC_INVALID_ARGUMENT);
    assert_int_equal(commit(&f, "none", "x"), GRPC_NOT_FOUND);
    assert_int_equal(commit(&f, "a", "x"), GRPC_OK);
    assert_int_equal(commit(&f, "x", "y"), GRPC_FAILED_PRECONDITION);
    assert_int_equal(by_key(&f, PATH "Mounts", "x"), GRPC_FAILED_PRECONDITION);
    assert_int_equal(prepare(&f, PATH "Prepare", "child", "x", NULL, false), GRPC_OK);
    assert_int_equal(by_key(&f, PATH "Remove", "x"), GRPC_FAILED_PRECONDITION);
    assert_string_equal(f.reply.text, "it has children: snapshot x");
    assert_int_equal(by_key(&f, PATH "Remove", "child"), GRPC_OK);
    assert_int_equal(by_key(&f, PATH "Remove", "x"), GRPC_OK);
    assert_int_equal(by_key(&f, PATH "Remove", "x"), GRPC_NOT_FOUND);
    assert_int_equal(by_key(&f, PATH "Nonsense", "x"), GRPC_UNIMPLEMENTED);
    assert_int_equal(by_key(&f, "/other.Service/Stat", "x"), GRPC_UNIMPLEMENTED);
    assert_int_equal(prepare(&f, PATH "Prepare", "e", "", "packed", true), GRPC_ALREADY_EXISTS);
    assert_int_equal(prepare(&f, PATH "Prepare", "e", "packed", "plain", false), GRPC_FAILED_PRECONDITION);
    assert_string_equal(f.reply.text, "left packed here, since an encrypted image has it too: packed");
}

static void labels_change_as_the_mask_says_and_only_they(void **state)
{
    AUTO(fixture) struct fixture f;
    Snapshots__UpdateRequest     request = SNAPSHOTS__UPDATE_REQUEST__INIT;
    Snapshots__Info              info    = SNAPSHOTS__INFO__INIT;
    Snapshots__FieldMask         mask    = SNAPSHOTS__FIELD_MASK__INIT;
    Snapshots__Label             label = SNAPSHOTS__LABEL__INIT, *labels = &label;
    AUTO(snapshot) struct snapshot found = { 0 };
    struct err                   err;
    char                        *one[] = { TEXT("labels.a") }, *name[] = { TEXT("name") };

    (void) state;
    set_up(&f);
    assert_int_equal(prepare(&f, PATH "Prepare", "s", "", "x", false), GRPC_OK);
    label.key = TEXT("a"), label.value = TEXT("1");
    info.name = TEXT("s"), info.labels = &labels, info.n_labels = 1;
    request.info = &info, request.update_mask = &mask;
    mask.paths = one, mask.n_paths = 1;
    assert_int_equal(call(&f, PATH "Update", &request.base), GRPC_OK);
    assert_true(snapshot_store_find(f.store, "s", &found, &err));
    assert_int_equal(json_object_object_length(found.labels), 2);
    mask.paths = name;
    assert_int_equal(call(&f, PATH "Update", &request.base), GRPC_INVALID_ARGUMENT);
    request.update_mask = NULL;
    assert_int_equal(call(&f, PATH "Update", &request.base), GRPC_OK);
    snapshot_free(&found);
    assert_true(snapshot_store_find(f.store, "s", &found, &err));
    assert_int_equal(json_object_object_length(found.labels), 1);
}

static void a_folder_without_a_snapshot_is_swept(void **state)
{
    AUTO(fixture) struct fixture f;
    AUTO(buffer) struct buffer   orphan = { 0 }, kept = { 0 };
    struct err                   err;
    struct stat                  at;

    (void) state;
    set_up(&f);
    assert_int_equal(prepare(&f, PATH "Prepare", "s", "", NULL, false), GRPC_OK);
    buffer_printf(&orphan, "%s/snapshots/99/fs", f.root);
    buffer_printf(&kept, "%s/snapshots/1/fs", f.root);
    assert_true(directory_make(buffer_text(&orphan), &err));
    assert_int_equal(by_key(&f, PATH "Cleanup", ""), GRPC_OK);
    assert_true(stat(buffer_text(&orphan), &at) < 0);
    assert_int_equal(stat(buffer_text(&kept), &at), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_packed_layer_is_there_without_a_folder),
        cmocka_unit_test(a_container_on_packed_layers_gets_an_empty_folder),
        cmocka_unit_test(plain_layers_become_an_overlay),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(labels_change_as_the_mask_says_and_only_they),
        cmocka_unit_test(a_folder_without_a_snapshot_is_swept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
