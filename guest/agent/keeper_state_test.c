#include "tests/harness/test.h"

#include <sys/socket.h>

#include "guest/agent/keeper_state.h"
#include "guest/agent/simulated.h"
#include "keys/jose/jwk.h"

static const struct kbs_options broker = { .url = "https://broker.example", .ca_pem = { (const uint8_t *) "pem", 3 } };

struct rig {
    int                   ends[2]; /* of all peers */
    struct keeper_options fds;
    struct keeper         k;
};

static void rig_open(struct rig *r)
{
    struct err err;

    *r = (struct rig){ .ends = { NO_FD, NO_FD } };
    assert_true(secret_heap_open(&err));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, r->ends), 0);
    r->fds   = (struct keeper_options){ .tee = CMDLINE_TEE_SIM, .opener_fd = r->ends[0], .blobs_fd = r->ends[0], .fetcher_fd = r->ends[0] };
    r->k.fds = &r->fds;
    keeper_begin(&r->k);
    assert_true(simulated_open(dup(r->ends[0]), &r->k.attester, &err) && ttrpc_client_over(r->ends[0], &r->k.blobs, &err) &&
                ttrpc_client_over(r->ends[0], &r->k.fetcher, &err) && ttrpc_client_over(r->ends[0], &r->k.volumes.opener, &err));
}

static void auto_rig(struct rig *r)
{
    kbs_client_free(r->k.client);
    kbs_client_free(r->k.for_workloads);
    EVP_PKEY_free(r->k.receipt_key);
    measurements_free(&r->k.measured);
    buffer_free(&r->k.initdata_text);
    auto_ttrpc_client(&r->k.blobs);
    auto_ttrpc_client(&r->k.fetcher);
    auto_ttrpc_client(&r->k.volumes.opener);
    shared_images_free(&r->k.images);
    attester_close(r->k.attester);
    auto_fd(&r->ends[0]);
    auto_fd(&r->ends[1]);
}

static struct shared_image image(uint8_t name, unsigned top, const char *config)
{
    struct shared_image out = { .manifest = { .value = { name } }, .verdict = { true, "kbs:///a/b/c" }, .top = top };

    buffer_append_text(&out.config, config);
    return out;
}

/* As it may be after some hours. */
static void fill(struct keeper *k)
{
    struct stored_layer layers[] = { { .number = 1, .bytes = 10 }, { .number = 3, .below = 1, .bytes = 20, .n_inodes = 2 } };
    struct buffer       copy     = { 0 };
    struct err          err;

    k->is_fetcher_ready = true;
    buffer_append_text(&k->initdata_text, "version = \"0.1.0\"\n");
    buffer_append_text(&k->measured.log, "events");
    k->measured.n              = 7;
    k->measured.n_of_workloads = 3;
    k->measured.value[0]       = 0xab;
    k->volumes.n               = 1;
    k->volumes.open[0]         = (struct keeper_volume){ "data", "kbs:///v/w/x", true };
    buffer_append(&copy, BYTES_OF(layers));
    k->images.layers.layers = (struct stored_layer *) (void *) copy.at;
    k->images.layers.n      = 2;
    k->images.layers.n_made = 3;
    shared_images_add(&k->images, image(1, 3, "{\"one\":1}"));
    shared_images_add(&k->images, image(2, 0, ""));
    k->fetcher.next_stream = 9;
    buffer_append_text(&k->fetcher.input, "late");
    k->volumes.opener.is_broken                = true;
    simulated_client(k->attester)->next_stream = 5;
    assert_true(jwk_generate_p256(&k->receipt_key, &err) && kbs_client_new(&broker, &k->client, &err) &&
                kbs_client_new(&broker, &k->for_workloads, &err));
}

static void assert_same(const struct keeper *was, struct keeper *is)
{
    assert_true(is->is_fetcher_ready && !is->is_host_full);
    assert_string_equal(buffer_text(&is->initdata_text), "version = \"0.1.0\"\n");
    assert_true(bytes_equal(buffer_bytes(&is->measured.log), buffer_bytes(&was->measured.log)));
    assert_int_equal(is->measured.n, 7);
    assert_int_equal(is->measured.n_of_workloads, 3);
    assert_int_equal(is->measured.value[0], 0xab);
    assert_int_equal(is->volumes.n, 1);
    assert_string_equal(is->volumes.open[0].key, "kbs:///v/w/x");
    assert_int_equal(is->images.layers.n, 2);
    assert_int_equal(is->images.layers.n_made, 3);
    assert_memory_equal(is->images.layers.layers, was->images.layers.layers, 2 * sizeof *is->images.layers.layers);
    assert_ptr_equal(is->images.layers.owner, is);
    assert_int_equal(is->images.n, 2);
    assert_string_equal(buffer_text(&is->images.at[0].config), "{\"one\":1}");
    assert_non_null(shared_images_find(&is->images, &was->images.at[1].manifest, &was->images.at[1].verdict));
    assert_int_equal(is->fetcher.next_stream, 9);
    assert_int_equal(is->fetcher.input.len, 4);
    assert_true(is->volumes.opener.is_broken && !is->fetcher.is_broken);
    assert_int_equal(simulated_client(is->attester)->next_stream, 5);
    assert_int_equal(EVP_PKEY_eq(is->receipt_key, was->receipt_key), 1);
}

static void what_is_written_is_read(void **state)
{
    AUTO(rig) struct rig       was, is;
    AUTO(buffer) struct buffer text = { 0 };
    struct keeper_sessions     sessions;
    struct err                 err;

    (void) state;
    rig_open(&was);
    rig_open(&is);
    fill(&was.k);
    assert_true(keeper_state_write(&was.k, &text, &err));
    assert_true(keeper_state_read(buffer_bytes(&text), &is.k, &sessions, &err));
    assert_same(&was.k, &is.k);
    assert_true(kbs_client_resume(&broker, NULL, sessions.of_images, &is.k.client, &err));
    assert_true(kbs_client_resume(&broker, NULL, sessions.of_workloads, &is.k.for_workloads, &err));
    assert_false(bytes_equal(sessions.of_images, sessions.of_workloads));
}

static void a_part_of_it_is_refused(void **state)
{
    AUTO(rig) struct rig       was;
    AUTO(buffer) struct buffer text = { 0 };
    struct keeper_sessions     sessions;
    struct err                 err;

    (void) state;
    rig_open(&was);
    fill(&was.k);
    assert_true(keeper_state_write(&was.k, &text, &err));
    for (size_t len = 0; len < text.len; len += len < 64 || text.len - len < 600 ? 1 : 61) {
        AUTO(rig) struct rig is;

        rig_open(&is);
        assert_false(keeper_state_read((struct bytes){ text.at, len }, &is.k, &sessions, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
    }
}

static void with_documents_of_megabytes_it_is_too_long(void **state)
{
    AUTO(rig) struct rig       was;
    AUTO(buffer) struct buffer text = { 0 };
    struct err                 err;

    (void) state;
    rig_open(&was);
    fill(&was.k);
    for (uint8_t name = 3; keeper_state_is_short(&was.k); name++) {
        struct shared_image large = image(name, 0, "");

        text.len = 0;
        assert_true(keeper_state_write(&was.k, &text, &err));
        assert_true(text.len <= RESTING_HELD_MAX);
        assert_true(name < SHARED_IMAGES_MAX);
        memset(buffer_grow(&large.config, OCI_DOCUMENT_MAX / 4), ' ', OCI_DOCUMENT_MAX / 4);
        shared_images_add(&was.k.images, large);
    }
    assert_true(text.len > OCI_DOCUMENT_MAX); /* it was not too careful */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(a_part_of_it_is_refused),
        cmocka_unit_test(with_documents_of_megabytes_it_is_too_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
