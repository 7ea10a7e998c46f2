#include "tests/harness/test.h"
#include "keys/ocicrypt/layer_type.h"

#define OCI "application/vnd.oci.image.layer.v1.tar"

static void knows_each_type_and_its_counterpart(void **state)
{
    static const struct { const char *name; enum layer_packing packing; const char *encrypted; } CASES[] = {
        { OCI, LAYER_TAR, OCI "+encrypted" },
        { OCI "+gzip", LAYER_TAR_GZIP, OCI "+gzip+encrypted" },
        { OCI "+zstd", LAYER_TAR_ZSTD, OCI "+zstd+encrypted" },
        { "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", LAYER_TAR_GZIP,
          "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip+encrypted" },
        { "application/vnd.docker.image.rootfs.diff.tar.gzip", LAYER_TAR_GZIP, OCI "+gzip+encrypted" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        const struct layer_type *plain = NULL, *sealed = NULL;
        struct err               err;

        assert_true(layer_type_find(CASES[i].name, &plain, &err));
        assert_int_equal(plain->packing, CASES[i].packing);
        assert_false(plain->is_encrypted);
        assert_string_equal(plain->encrypted, CASES[i].encrypted);
        assert_true(layer_type_find(plain->encrypted, &sealed, &err));
        assert_true(sealed->is_encrypted);
        assert_int_equal(sealed->packing, CASES[i].packing);
        assert_null(sealed->encrypted);
        assert_true(layer_type_find(sealed->plain, &plain, &err) && !plain->is_encrypted);
    }
}

static void refuses_other_types_by_name(void **state)
{
    static const char *const OTHERS[] = { "", OCI "+GZIP", OCI "+gzip+encrypted+encrypted", OCI "+xz", "text/plain",
                                          "application/vnd.wasm.content.layer.v1+wasm" };
    const struct layer_type *found = NULL;
    struct err               err;

    (void) state;
    for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++) {
        assert_false(layer_type_find(OTHERS[i], &found, &err));
        assert_int_equal(err.kind, ERR_UNSUPPORTED);
        assert_non_null(strstr(err.text, OTHERS[i]));
        assert_null(found);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_each_type_and_its_counterpart),
        cmocka_unit_test(refuses_other_types_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
