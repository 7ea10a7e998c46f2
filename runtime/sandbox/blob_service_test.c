#include "tests/harness/test.h"

#include <sys/socket.h>

#include "base/file.h"
#include "guest/api/services.h"
#include "keys/ocicrypt/digest.h"
#include "runtime/sandbox/blob_service.h"

/* A guest that asks over a real connection: of two blobs one is of its images. */
static uint8_t ours[] = "of this pod", others[] = "of another pod", unknown[] = "of nobody";

struct rig {
    struct loop             *loop;
    struct blob_service     *service;
    struct ttrpc_connection *guest;
    char                    *folder;
    char                     digests[3][DIGEST_TEXT_LEN_MAX + 1];
    enum err_kind            kind;
    char                     text[512]; /* what was read, or why not */
    char                     kept[DIGEST_TEXT_LEN_MAX + 1]; /* what we were told of last */
};

static bool is_ours(void *owner, const char *digest)
{
    return strcmp(((const struct rig *) owner)->digests[0], digest) == 0;
}

static void note_kept(void *owner, const char *digest)
{
    struct rig *r = owner;

    assert_true(r->kind == ERR_BUG); /* not answered yet */
    (void) snprintf(r->kept, sizeof r->kept, "%s", digest); /* fits */
}

static void on_closed(void *owner, const struct err *why)
{
    (void) owner;
    fail_msg("the connection closed: %s", why->text);
}

static struct rig *rig_new(void)
{
    struct rig  *r      = calloc(1, sizeof *r);
    struct bytes all[3] = { BYTES_OF(ours), BYTES_OF(others), BYTES_OF(unknown) };
    int          fds[2];
    struct err   err;

    assert_non_null(r);
    assert_true(loop_new(&r->loop, &err) && directory_make_temporary("blob-service-", &r->folder, &err));
    for (size_t i = 0; i < 3; i++) {
        struct digest digest;

        digest_of(all[i], DIGEST_SHA256, &digest);
        strcpy(r->digests[i], digest_text(&digest).at);
    }
    struct blob_service_options    options = { .may_read = is_ours, .kept = note_kept, .owner = r, .cache = r->folder, .cache_max = 1 << 20 };
    struct ttrpc_connection_options calling = { .loop = r->loop, .closed = on_closed, .owner = r };
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_true(blob_service_new(r->loop, &options, fds[0], &r->service, &err));
    assert_true(ttrpc_connection_new(&calling, fds[1], &r->guest, &err));
    return r;
}

static void auto_rig(struct rig **rig)
{
    struct rig *r = *rig;
    struct err  err;

    ttrpc_connection_free(r->guest);
    blob_service_free(r->service);
    loop_free(r->loop);
    assert_true(directory_remove(r->folder, &err));
    free(r->folder);
    free(r);
}

static void on_reply(void *owner, const ProtobufCMessage *response, const struct err *why)
{
    struct rig *r = owner;

    r->kind = response ? ERR_NONE : why->kind;
    if (!response) {
        (void) snprintf(r->text, sizeof r->text, "%s", why->text); /* cut is fine */
    } else if (response->descriptor == &blobs__read_response__descriptor) {
        const Blobs__ReadResponse *read = (const Blobs__ReadResponse *) response;

        (void) snprintf(r->text, sizeof r->text, "%.*s", (int) read->data.len, (const char *) read->data.data);
    }
    loop_stop(r->loop);
}

static enum err_kind ask(struct rig *r, const char *name, const ProtobufCMessage *request)
{
    struct ttrpc_method method = { &blobs_service, name };
    struct err          err;

    assert_true(ttrpc_connection_call(r->guest, &method, request, on_reply, r, &err));
    r->kind = ERR_BUG;
    while (r->kind == ERR_BUG)
        assert_true(loop_run(r->loop, &err));
    return r->kind;
}

static enum err_kind bring(struct rig *r, size_t i, struct bytes content)
{
    Blobs__WriteRequest request = BLOBS__WRITE_REQUEST__INIT;

    request.digest = r->digests[i];
    request.size   = content.len;
    request.data   = (ProtobufCBinaryData){ content.len, (uint8_t *) (uintptr_t) content.at }; /* only read */
    return ask(r, "Write", &request.base);
}

static enum err_kind read_back(struct rig *r, size_t i)
{
    Blobs__ReadRequest request = BLOBS__READ_REQUEST__INIT;

    request.digest = r->digests[i];
    request.length = 100;
    return ask(r, "Read", &request.base);
}

static void a_guest_brings_what_it_pulled_of_its_own_images_and_nothing_else(void **state)
{
    AUTO(rig) struct rig *r = rig_new();

    (void) state;
    assert_int_equal(read_back(r, 0), ERR_NOT_FOUND);
    assert_int_equal(bring(r, 0, BYTES_OF(ours)), ERR_NONE);
    assert_string_equal(r->kept, r->digests[0]);
    r->kept[0] = 0;
    assert_int_equal(read_back(r, 0), ERR_NONE);
    assert_string_equal(r->text, (const char *) ours);
    assert_int_equal(bring(r, 1, BYTES_OF(others)), ERR_DENIED);
    assert_int_equal(bring(r, 2, BYTES_OF(unknown)), ERR_DENIED);
    assert_int_equal(bring(r, 0, BYTES_OF(others)), ERR_UNTRUSTED); /* of another content */
    assert_string_equal(r->kept, "");
}

static void what_others_brought_is_not_read_by_its_digest(void **state)
{
    AUTO(rig) struct rig      *r    = rig_new();
    AUTO(buffer) struct buffer path = { 0 };
    struct err                 err;

    (void) state;
    buffer_printf(&path, "%s/blobs/sha256/%s", r->folder, r->digests[1] + 7);
    assert_true(file_write(buffer_text(&path), BYTES_OF(others), 0600, &err));
    assert_int_equal(read_back(r, 1), ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guest_brings_what_it_pulled_of_its_own_images_and_nothing_else),
        cmocka_unit_test(what_others_brought_is_not_read_by_its_digest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
