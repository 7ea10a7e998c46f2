#include "tests/harness/test.h"

#include "attestation/evidence/event_log.h"
#include "guest/agent/measurements.h"

/* A platform that only counts, or that says no. */
struct platform {
    struct attester attester;
    unsigned        n;
    bool            is_broken;
    uint8_t         last[SHA384_LEN];
};

static bool extend(struct attester *self, struct bytes digest, struct err *err)
{
    struct platform *p = (struct platform *) self;

    if (p->is_broken)
        return fail_with(err, ERR_OS, "extend RTMR3: it is broken");
    assert_int_equal(digest.len, SHA384_LEN);
    memcpy(p->last, digest.at, digest.len);
    p->n++;
    return true;
}

static struct platform platform(void)
{
    return (struct platform){ .attester = { .tee = "tdx", .extend = extend, .runtime = { "rtmr3", CC_RTMR3, TPM_SHA384 } } };
}

static void what_is_logged_was_extended_first(void **state)
{
    struct platform     p     = platform();
    struct measurements m     = { .attester = &p.attester };
    struct aael_event   event = { "d", "o", "c" };
    uint8_t             value[TPM_HASH_LEN_MAX] = { 0 };
    struct err          err;

    (void) state;
    for (unsigned i = 1; i <= 3; i++) {
        assert_true(measurements_add(&m, &event, false, &err));
        tpm_hash_of(tpm_hash_by_id(TPM_SHA384), (struct bytes){ value, SHA384_LEN }, BYTES_OF(p.last), value);
        assert_int_equal(p.n, i);
        assert_memory_equal(m.value, value, SHA384_LEN);
    }
    size_t len = m.log.len;
    p.is_broken = true;
    assert_false(measurements_add(&m, &event, false, &err));
    assert_string_equal(err.text, "extend RTMR3: it is broken");
    assert_int_equal(m.log.len, len);
    assert_memory_equal(m.value, value, SHA384_LEN);
    measurements_free(&m);
}

static void without_a_register_of_the_platform_it_is_called_software(void **state)
{
    struct attester     bare  = { .tee = "snp" };
    struct measurements m     = { .attester = &bare };
    struct aael_event   event = { "d", "o", "c" };
    struct err          err;

    (void) state;
    assert_string_equal(measurements_register(&m).name, "software");
    assert_true(measurements_add(&m, &event, true, &err));
    assert_false(bytes_are_zero((struct bytes){ m.value, SHA384_LEN }));
    measurements_free(&m);
}

static void a_workload_cannot_speak_for_the_guest(void **state)
{
    struct attester     bare   = { .tee = "snp" };
    struct measurements m      = { .attester = &bare };
    struct aael_event   coco   = { AAEL_DOMAIN_COCO, "PullImage", "{}" }, ours = { AAEL_DOMAIN_CLOISTER, "StartContainer", "{}" };
    struct err          err;

    (void) state;
    assert_false(measurements_add(&m, &coco, true, &err));
    assert_int_equal(err.kind, ERR_DENIED);
    assert_string_equal(err.text, "events of domain github.com/confidential-containers are the guest's own");
    assert_false(measurements_add(&m, &ours, true, &err));
    assert_int_equal(err.kind, ERR_DENIED);
    assert_int_equal(m.log.len, 0);
    assert_true(measurements_add(&m, &coco, false, &err));
    measurements_free(&m);
}

static void workloads_leave_room_for_the_guests_own_events(void **state)
{
    static char         large[AAEL_CONTENT_MAX + 1];
    struct attester     bare  = { .tee = "snp" };
    struct measurements few   = { .attester = &bare }, many = { .attester = &bare };
    struct aael_event   small = { "d", "o", "c" }, big = { "d", "o", large };
    struct err          err;

    (void) state;
    memset(large, 'a', sizeof large - 1);
    while (measurements_add(&few, &big, true, &err))
        ;
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_true(few.log.len <= MEASUREMENTS_LOG_OF_WORKLOADS);
    assert_true(measurements_add(&few, &big, false, &err));
    while (measurements_add(&many, &small, true, &err))
        ;
    assert_int_equal(many.n_of_workloads, MEASUREMENTS_OF_WORKLOADS);
    while (measurements_add(&many, &small, false, &err))
        ;
    assert_int_equal(many.n, MEASUREMENTS_MAX);
    assert_string_equal(strchr(err.text, ':'), ": 2048 events, 161792 bytes");
    measurements_free(&few);
    measurements_free(&many);
}

static void an_image_is_told_as_cocos_guests_tell_it(void **state)
{
    AUTO(buffer) struct buffer text = { 0 }, odd = { 0 };

    (void) state;
    measurements_image_text("docker.io/library/busybox:latest", "sha256:abab", &text);
    assert_string_equal(buffer_text(&text), "{\"image\":\"docker.io/library/busybox:latest\", \"digest\":\"sha256:abab\"}");
    measurements_image_text("a\"b\n", "sha256:abab", &odd);
    assert_string_equal(buffer_text(&odd), "{\"image\":\"a\\\"b\\n\", \"digest\":\"sha256:abab\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_logged_was_extended_first),
        cmocka_unit_test(without_a_register_of_the_platform_it_is_called_software),
        cmocka_unit_test(a_workload_cannot_speak_for_the_guest),
        cmocka_unit_test(workloads_leave_room_for_the_guests_own_events),
        cmocka_unit_test(an_image_is_told_as_cocos_guests_tell_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
