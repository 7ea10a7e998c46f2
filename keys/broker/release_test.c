#include "tests/harness/test.h"

#include <stdio.h>

#include "keys/broker/release.h"

static const uint8_t MEASUREMENT[48] = { 0xaa }, HOST_DATA[32] = { 0xbb }, OTHER[48] = { 0xcc };
static const struct release_subject GUEST = { "snp", { MEASUREMENT, 48 }, { HOST_DATA, 32 } };

static struct store *fresh(void)
{
    AUTO(secret) struct secret key   = { 0 };
    struct store              *store = NULL;
    struct err                 err;

    assert_true(secret_heap_open(&err) && secret_random(32, &key, &err) && store_open(":memory:", &key, &store, &err));
    return store;
}

static int64_t expect(struct store *store, enum reference_kind kind, const char *tee, struct bytes value, const char *path)
{
    struct reference r = { .kind = kind, .tee = tee, .value = value, .resource = path };
    int64_t          id;
    struct err       err;

    assert_true(store_reference_add(store, &r, &id, &err));
    return id;
}

static bool decides(struct store *store, const struct release_subject *guest, const char *path, struct err *err)
{
    bool released = release_decide(store, guest, path, 100, err);

    assert_true(released || err->kind == ERR_DENIED);
    return released;
}

static void denies_by_default(void **state)
{
    AUTO(store) struct store *store = fresh();
    struct err                err;

    (void) state;
    assert_false(decides(store, &GUEST, "a/b/c", &err));
    assert_non_null(strstr(err.text, "measurement aa00"));
    assert_non_null(strstr(err.text, "is not a registered reference value for a/b/c"));
    assert_false(decides(store, &GUEST, NULL, &err));
}

static void wants_measurement_and_initdata_both(void **state)
{
    AUTO(store) struct store *store = fresh();
    int64_t                   id;
    struct err                err;

    (void) state;
    id = expect(store, REFERENCE_MEASUREMENT, "snp", BYTES_OF(MEASUREMENT), "");
    assert_false(decides(store, &GUEST, "a/b/c", &err));
    assert_non_null(strstr(err.text, "initdata digest bb00"));
    (void) expect(store, REFERENCE_INITDATA, "snp", BYTES_OF(HOST_DATA), "");
    assert_true(decides(store, &GUEST, "a/b/c", &err));
    assert_true(store_reference_remove(store, id, &err));
    assert_false(decides(store, &GUEST, "a/b/c", &err));
}

static void counts_a_value_only_for_its_kind_tee_and_path(void **state)
{
    AUTO(store) struct store *store = fresh();
    struct err                err;

    (void) state;
    (void) expect(store, REFERENCE_INITDATA, "snp", BYTES_OF(MEASUREMENT), "");
    (void) expect(store, REFERENCE_MEASUREMENT, "tdx", BYTES_OF(MEASUREMENT), "");
    (void) expect(store, REFERENCE_MEASUREMENT, "snp", BYTES_OF(OTHER), "");
    (void) expect(store, REFERENCE_MEASUREMENT, "snp", BYTES_OF(MEASUREMENT), "a/b/c");
    (void) expect(store, REFERENCE_INITDATA, "snp", BYTES_OF(HOST_DATA), "");
    assert_true(decides(store, &GUEST, "a/b/c", &err));
    assert_false(decides(store, &GUEST, "a/b/d", &err));
    assert_false(decides(store, &GUEST, "a/b", &err));
    assert_true(decides(store, &GUEST, NULL, &err));
}

static void lets_no_tenant_have_another_tenants_secrets(void **state)
{
    enum { TENANTS = 20 };
    AUTO(store) struct store *store = fresh();
    uint8_t                   digests[TENANTS][32];
    char                      paths[TENANTS][32];
    size_t                    n_released = 0;
    struct err                err;

    (void) state;
    (void) expect(store, REFERENCE_MEASUREMENT, "snp", BYTES_OF(MEASUREMENT), "");
    for (int i = 0; i < TENANTS; i++) {
        memset(digests[i], i + 1, 32);
        (void) snprintf(paths[i], sizeof paths[i], "tenant%d/key/1", i);
        (void) expect(store, REFERENCE_INITDATA, "snp", BYTES_OF(digests[i]), paths[i]);
    }
    for (int i = 0; i < TENANTS; i++) {
        for (int j = 0; j < TENANTS; j++) {
            struct release_subject guest = { "snp", { MEASUREMENT, 48 }, { digests[i], 32 } };
            bool                   released = decides(store, &guest, paths[j], &err);

            assert_int_equal(released, i == j);
            n_released += released;
        }
    }
    assert_int_equal(n_released, TENANTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(denies_by_default),
        cmocka_unit_test(wants_measurement_and_initdata_both),
        cmocka_unit_test(counts_a_value_only_for_its_kind_tee_and_path),
        cmocka_unit_test(lets_no_tenant_have_another_tenants_secrets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
