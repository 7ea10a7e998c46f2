/*
 * The agent's service on a loop of the test's own: real connections to a host, which the test plays, and to a keeper that
 * unpacks nothing; a crun that runs nothing, which is a script of the test's.
 */
#pragma once

#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "base/file.h"
#include "guest/agent/keeper.h"
#include "guest/agent/service.h"
#include "tests/harness/test.h"

#define RIG_IMAGE "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define RIG_IMAGE_CONFIG "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"Cmd\":[\"sleep\",\"60\"]}," \
                         "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}"

struct agent_rig {
    struct loop             *loop;
    struct reaper           *reaper;
    struct timeline          timeline;
    struct service           service;
    struct ttrpc_connection *agent, *keeper_end, *keeper_server;
    char                    *folder, *crun, *all; /* the script; the containers' directories */
};

struct agent_rig_options {
    const char             *crun, *policy; /* a shell script, and a policy.json */
    const struct ttrpc_row *keeper_rows;
    size_t                  n_keeper_rows;
    void                   *keeper_owner;
};

/* The usual keeper: the one image, and no events but of containers that start. */
static inline void rig_serve_unpack(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    static const char      config[] = RIG_IMAGE_CONFIG;
    Keeper__UnpackResponse answer   = KEEPER__UNPACK_RESPONSE__INIT;

    (void) owner;
    assert_string_equal(((const Keeper__UnpackRequest *) request)->image_digest, RIG_IMAGE); /* nothing else is ever fetched */
    answer.config = (ProtobufCBinaryData){ sizeof config - 1, (uint8_t *) (uintptr_t) config };
    ttrpc_answer(pending, &answer.base);
}

static inline void rig_serve_measure(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    Keeper__GivenResponse answer = KEEPER__GIVEN_RESPONSE__INIT;

    (void) owner;
    assert_string_equal(((const Keeper__MeasureRequest *) request)->operation, "StartContainer");
    ttrpc_answer(pending, &answer.base);
}

static inline void rig_on_closed(void *owner, const struct err *why)
{
    (void) owner;
    fail_msg("a connection closed: %s", why->text);
}

/* Serves on one end of a new pair. Returns the other. */
static inline int agent_rig_serve(const struct ttrpc_connection_options *serving, struct ttrpc_connection **server)
{
    int        ends[2];
    struct err err;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_true(ttrpc_connection_new(serving, ends[0], server, &err));
    return ends[1];
}

static inline void agent_rig_call(struct agent_rig *rig, int fd, struct ttrpc_connection **client)
{
    struct ttrpc_connection_options calling = { .loop = rig->loop, .closed = rig_on_closed, .owner = rig };
    struct err                      err;

    assert_true(ttrpc_connection_new(&calling, fd, client, &err));
}

static inline void agent_rig_make_folder(struct agent_rig *rig, const char *crun)
{
    struct err err;

    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    assert_true(directory_make_temporary("agent", &rig->folder, &err));
    assert_true(asprintf(&rig->crun, "%s/crun", rig->folder) > 0 && asprintf(&rig->all, "%s/all", rig->folder) > 0);
    assert_true(file_write(rig->crun, bytes_of_text(crun), 0755, &err));
}

/* Returns the host's end, which is yours. */
static inline int agent_rig_open(struct agent_rig *rig, const struct agent_rig_options *o)
{
    struct err err;

    agent_rig_make_folder(rig, o->crun);
    assert_true(loop_new(&rig->loop, &err) && reaper_new(rig->loop, &rig->reaper, &err));
    struct containers_options       options = { rig->loop, rig->reaper, rig->all, rig->crun, service_more_output,
                                                service_container_ended, &rig->service, NULL };
    struct ttrpc_connection_options keeping = { rig->loop, &keeper_service, o->keeper_rows, o->n_keeper_rows, rig_on_closed, o->keeper_owner };
    struct ttrpc_connection_options serving = { rig->loop, &agent_service, service_rows, n_service_rows, rig_on_closed, &rig->service };

    serving.admit = service_admit;
    rig->service  = (struct service){ .loop = rig->loop, .timeline = &rig->timeline, .tee = CMDLINE_TEE_SIM };
    assert_true(containers_new(&options, &rig->service.containers, &err));
    assert_true(policy_read(bytes_of_text(o->policy), &rig->service.policy, &err));
    agent_rig_call(rig, agent_rig_serve(&keeping, &rig->keeper_server), &rig->keeper_end);
    rig->service.keeper = rig->keeper_end;
    return agent_rig_serve(&serving, &rig->agent);
}

/* After the host's end. */
static inline void agent_rig_close(struct agent_rig *rig)
{
    struct err err;

    ttrpc_connection_free(rig->agent);
    ttrpc_connection_free(rig->keeper_end);
    ttrpc_connection_free(rig->keeper_server);
    free(rig->service.containers);
    policy_free(&rig->service.policy);
    rules_free(rig->service.rules);
    reaper_free(rig->reaper);
    loop_free(rig->loop);
    assert_true(directory_remove(rig->folder, &err));
    free(rig->folder);
    free(rig->crun);
    free(rig->all);
}
