/*
 * Where a secret may stand once it was put, released, read back and replaced: nowhere outside of what its owner holds.
 * Files (database, its journals, the log) and the whole memory of the running broker are searched, also what it freed.
 */
#include <ftw.h>
#include <time.h>

#include "base/text.h"
#include "tests/harness/broker.h"
#include "tests/harness/traces.h"

enum { CANARY_LEN = 64, PART_LEN = 16, PARTS = CANARY_LEN / PART_LEN, REPEATED = 1500, CANARIES = 3, PATIENCE_S = 120 };
static const char *const URIS[CANARIES] = { "kbs:///default/canary-small/1", "kbs:///default/canary-large/1",
                                            "kbs:///default/canary-gone/1" };
static const char        MARK[]         = "default/canary-small/1"; /* its name is no secret: a search must find it */

static struct test_broker broker;
static uint8_t            canaries[CANARIES][CANARY_LEN];
static char               log_path[PATH_MAX];

/* ---- searching ---- */

/* Any quarter of a canary: memory that was freed and taken again is often overwritten at one end. */
static int canary_in(struct bytes b)
{
    for (int i = 0; i < CANARIES; i++) {
        for (size_t part = 0; part < PARTS; part++) {
            if (traces_holds(b, (struct bytes){ canaries[i] + part * PART_LEN, PART_LEN }))
                return i;
        }
    }
    return -1;
}

/* As somebody may have printed it. */
static int printed_canary_in(struct bytes b)
{
    for (int i = 0; i < CANARIES; i++) {
        AUTO(buffer) struct buffer hex = { 0 }, standard = { 0 }, url = { 0 };
        struct bytes               canary = BYTES_OF(canaries[i]);

        hex_append(&hex, canary);
        base64_append(&standard, canary, BASE64_STANDARD);
        base64_append(&url, canary, BASE64_URL);
        if (traces_holds(b, (struct bytes){ hex.at, PART_LEN }) || traces_holds(b, (struct bytes){ standard.at, PART_LEN }) ||
            traces_holds(b, (struct bytes){ url.at, PART_LEN }))
            return i;
    }
    return -1;
}

static bool mark_was_seen;

static int file_search(const char *path, const struct stat *info, int type, struct FTW *at)
{
    AUTO(buffer) struct buffer content = { 0 };
    struct err                 err;

    (void) at;
    if (type != FTW_F)
        return 0;
    assert_fine(file_read(path, (size_t) info->st_size + (1 << 20), &content, &err), &err);
    if (canary_in(buffer_bytes(&content)) >= 0 || printed_canary_in(buffer_bytes(&content)) >= 0)
        fail_msg("a secret stands in %s", path);
    mark_was_seen |= traces_holds(buffer_bytes(&content), bytes_of_text(MARK));
    return 0;
}

static bool canary_is_in(void *owner, struct bytes piece)
{
    const char **which = owner;
    int          any   = canary_in(piece);

    mark_was_seen |= traces_holds(piece, bytes_of_text(MARK));
    any = any < 0 ? printed_canary_in(piece) : any;
    if (any >= 0)
        *which = URIS[any];
    return any >= 0;
}

/* ---- what happens to secrets ---- */

static void canary_put(struct admin_client *admin, int i, size_t times)
{
    AUTO(buffer) struct buffer text  = { 0 };
    AUTO(secret) struct secret value = { 0 };
    struct err                 err;

    for (size_t n = 0; n < times; n++)
        buffer_append(&text, BYTES_OF(canaries[i]));
    assert_fine(secret_copy(buffer_bytes(&text), &value, &err) && admin_resource_put(admin, URIS[i], &value, &err), &err);
}

static void value_register(struct admin_client *admin, const char *kind, const uint8_t *value, size_t len)
{
    AUTO(buffer) struct buffer hex = { 0 };
    uint64_t                   id;
    struct err                 err;

    hex_append(&hex, (struct bytes){ value, len });
    struct admin_reference reference = { .kind = kind, .tee = "snp", .value = buffer_text(&hex) };
    assert_fine(admin_reference_add(admin, &reference, &id, &err), &err);
}

static void guest_gets(int i)
{
    struct test_guest                   guest    = test_guest_good(&broker);
    struct kbs_attester                 attester = { .tee = "snp", .evidence = test_evidence, .owner = &guest };
    struct kbs_options                  options  = { .url = broker.url, .ca_pem = buffer_bytes(&broker.ca) };
    AUTO(kbs_client) struct kbs_client *client   = NULL;
    AUTO(secret) struct secret          got      = { 0 };
    struct err                          err;

    assert_fine(kbs_client_new(&options, &client, &err) && kbs_attest(client, &attester, NULL, &err) &&
                    kbs_resource_get(client, URIS[i], &got, &err), &err);
    assert_memory_equal(got.held, canaries[i], CANARY_LEN);
}

/* Every way that a secret takes through a broker, each connection closed behind it. */
static void secrets_pass_through(void)
{
    AUTO(admin_client) struct admin_client *admin = test_admin(&broker);
    AUTO(secret) struct secret              back  = { 0 };
    struct test_guest                       good  = test_guest_good(&broker);
    struct err                              err;

    value_register(admin, "measurement", good.measurement, sizeof good.measurement);
    value_register(admin, "initdata", good.host_data, sizeof good.host_data);
    canary_put(admin, 0, 1);
    canary_put(admin, 1, REPEATED);
    canary_put(admin, 2, 1);
    guest_gets(0);
    guest_gets(1);
    guest_gets(2);
    assert_fine(admin_resource_get(admin, URIS[1], &back, &err) && admin_resource_remove(admin, URIS[2], &err), &err);
    canary_put(admin, 0, 2); /* one value takes the place of another */
}

static int make(void **state)
{
    struct err err;

    (void) state;
    (void) unsetenv("MALLOC_PERTURB_"); /* a test's runner may have what is freed overwritten: that is not our wiping */
    test_broker_make(&broker);
    for (int i = 0; i < CANARIES; i++)
        assert_fine(random_bytes(canaries[i], CANARY_LEN, &err), &err);
    assert_int_equal(test_broker_stop(&broker, SIGTERM), 0);
    test_broker_path(&broker, "log", log_path);
    broker.log = open(log_path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    assert_true(broker.log >= 0);
    test_broker_start(&broker);
    secrets_pass_through();
    return 0;
}

static int clean(void **state)
{
    (void) state;
    (void) close(broker.log); /* the test has read it by its name */
    test_broker_free(&broker);
    return 0;
}

/* ---- claims ---- */

static void none_is_in_the_log_and_the_database_while_it_runs(void **state)
{
    (void) state;
    mark_was_seen = false;
    assert_int_equal(nftw(broker.folder, file_search, 8, FTW_PHYS), 0);
    assert_true(mark_was_seen); /* else the search would see nothing */
}

/* The broker may still be ending its last connection when its last answer is here already: it gets time for that. */
static void none_stays_in_memory(void **state)
{
    AUTO(buffer) struct buffer found = { 0 };
    const char                *which = "";

    (void) state;
    if (IS_SANITIZED)
        skip();
    for (int i = 0; i < PATIENCE_S * 10; i++) {
        struct timespec pause = { .tv_nsec = 100000000 };

        found.len     = 0;
        mark_was_seen = false;
        if (!traces_search(broker.process.pid, canary_is_in, &which, &found))
            skip(); /* the broker is closed to all but root: nobody could look */
        if (found.len == 0)
            break;
        (void) nanosleep(&pause, NULL); /* a short one does no harm */
    }
    if (found.len > 0)
        fail_msg("%s is in %s", which, buffer_text(&found));
    assert_true(mark_was_seen);
}

static void a_crash_leaves_no_core(void **state)
{
    int        status = 0;
    struct err err;

    (void) state;
    process_signal(&broker.process, SIGABRT);
    assert_fine(process_wait(&broker.process, 120000, &status, &err), &err);
    broker.process = NO_PROCESS;
    assert_true(IS_SANITIZED || WIFSIGNALED(status));
    assert_false(WCOREDUMP(status));
    assert_int_equal(nftw(broker.folder, file_search, 8, FTW_PHYS), 0); /* and what the next start would find */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_is_in_the_log_and_the_database_while_it_runs),
        cmocka_unit_test(none_stays_in_memory),
        cmocka_unit_test(a_crash_leaves_no_core),
    };

    return cmocka_run_group_tests(tests, make, clean);
}
