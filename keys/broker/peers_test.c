#include "tests/harness/test.h"

#include <sys/socket.h>

#include "keys/broker/peers.h"

static bool is_open(int other_end)
{
    char byte;

    return recv(other_end, &byte, 1, MSG_DONTWAIT) < 0; /* 0 is the end */
}

static void shuts_who_is_overdue_in_its_phase_and_nobody_else(void **state)
{
    struct peers peers = { .limits_s = { [PHASE_HELLO] = 10, [PHASE_REQUEST] = 30, [PHASE_IDLE] = 60 } };
    struct peer *peer[N_PHASES];
    int          ends[N_PHASES][2];

    (void) state;
    for (int i = 0; i < N_PHASES; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends[i]), 0);
        peer[i] = peers_add(&peers, ends[i][0], 1000);
        peer_enter(peer[i], (enum phase) i, 1000);
    }
    assert_int_equal(peers.n, N_PHASES);
    assert_int_equal(peers_busy(&peers), N_PHASES - 1);
    assert_int_equal(peers_expire(&peers, 1000 + 9999), 0);
    assert_int_equal(peers_expire(&peers, 1000 + 10000), 1);
    assert_false(is_open(ends[PHASE_HELLO][1]));
    assert_int_equal(peers_busy(&peers), N_PHASES - 2);
    assert_int_equal(peers_expire(&peers, 1000 + 10000), 0); /* once */
    peer_enter(peer[PHASE_REQUEST], PHASE_ANSWER, 20000);
    assert_int_equal(peers_expire(&peers, INT64_MAX / 2), 0); /* an idle one is no offence */
    assert_false(is_open(ends[PHASE_IDLE][1]));
    assert_true(is_open(ends[PHASE_REQUEST][1])); /* its answer has no limit here */
    assert_true(is_open(ends[PHASE_DECIDING][1]));

    peers_remove(&peers, peer[2]);
    peers_remove(&peers, peer[4]);
    peers_remove(&peers, peer[0]);
    peers_remove(&peers, peer[1]);
    peers_remove(&peers, peer[3]);
    assert_int_equal(peers.n, 0);
    assert_null(peers.first);
    for (int i = 0; i < N_PHASES; i++) {
        (void) close(ends[i][0]); /* a test's own */
        (void) close(ends[i][1]); /* as above */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(shuts_who_is_overdue_in_its_phase_and_nobody_else) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
