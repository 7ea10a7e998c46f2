#include "tests/harness/test.h"

#include <sys/prctl.h>
#include <sys/socket.h>

#include "base/file.h"
#include "guest/agent/keeper.h"
#include "guest/agent/service.h"
#include "guest/api/receipt.h"

/*
 * The agent's service over a real connection, with a keeper that unpacks nothing and a crun that runs nothing: requests
 * in every order, and what the host is told, against a model of the states.
 */
#define IMAGE "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static const char policy_text[] = "{\"containers\":[{\"image\":\"" IMAGE "\",\"args\":null,\"env\":[],\"output\":true}]}";
static const char image_text[]  = "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"Cmd\":[\"sleep\",\"60\"]},"
                                  "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}";

/* Plays crun: a created container is a process that sleeps. */
static const char player[] =
    "#!/bin/sh\n"
    "case \" $* \" in *' create '*)\n"
    "  while [ \"$1\" != --pid-file ]; do shift; done\n"
    "  sleep 60 </dev/null >/dev/null 2>&1 &\n"
    "  printf %s $! > \"$2\";;\n"
    "esac\n";

enum { IDS = 3, MODEL_GONE = -1, STEPS = 120 };

struct rig {
    struct loop             *loop;
    struct reaper           *reaper;
    struct timeline          timeline;
    struct service           service;
    struct ttrpc_connection *agent, *host, *keeper_end, *keeper_server;
    char                    *folder, *crun, *all;
    bool                     has_answer, keeper_refuses;
    enum err_kind            kind;
    char                     text[256];
    ProtobufCMessage        *answer; /* a copy */
};

static void serve_unpack(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    struct rig            *rig    = owner;
    Keeper__UnpackResponse answer = KEEPER__UNPACK_RESPONSE__INIT;
    struct err             why    = { .kind = ERR_UNTRUSTED, .text = "verify: layer 1 of 1: digest" };

    assert_string_equal(((const Keeper__UnpackRequest *) request)->image_digest, IMAGE);
    answer.config = (ProtobufCBinaryData){ sizeof image_text - 1, (uint8_t *) (uintptr_t) image_text };
    if (rig->keeper_refuses)
        ttrpc_refuse(pending, &why);
    else
        ttrpc_answer(pending, &answer.base);
}

static const struct ttrpc_row keeper_rows[] = { { "Unpack", serve_unpack } };

static void on_closed(void *owner, const struct err *why)
{
    (void) owner;
    fail_msg("a connection closed: %s", why->text);
}

static void join(struct rig *rig, const struct ttrpc_service *service, const struct ttrpc_row *rows, size_t n,
                    void *owner, struct ttrpc_connection **server, struct ttrpc_connection **client)
{
    struct ttrpc_connection_options serving = { rig->loop, service, rows, n, on_closed, owner };
    struct ttrpc_connection_options calling = { .loop = rig->loop, .closed = on_closed, .owner = owner };
    int                             fds[2];
    struct err                      err;

    serving.admit = service == &agent_service ? service_admit : NULL;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_true(ttrpc_connection_new(&serving, fds[0], server, &err));
    assert_true(ttrpc_connection_new(&calling, fds[1], client, &err));
}

static int open_rig(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    struct err  err;

    assert_non_null(rig);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    assert_true(loop_new(&rig->loop, &err) && reaper_new(rig->loop, &rig->reaper, &err));
    assert_true(directory_make_temporary("service", &rig->folder, &err));
    assert_true(asprintf(&rig->crun, "%s/crun", rig->folder) > 0 && asprintf(&rig->all, "%s/all", rig->folder) > 0);
    assert_true(file_write(rig->crun, bytes_of_text(player), 0755, &err));
    struct containers_options options = { rig->loop, rig->reaper, rig->all, rig->crun, service_more_output,
                                          service_container_ended, &rig->service, NULL };
    rig->service = (struct service){ .loop = rig->loop, .timeline = &rig->timeline, .tee = CMDLINE_TEE_SIM };
    assert_true(containers_new(&options, &rig->service.containers, &err));
    assert_true(policy_read(bytes_of_text(policy_text), &rig->service.policy, &err));
    join(rig, &keeper_service, keeper_rows, 1, rig, &rig->keeper_server, &rig->keeper_end);
    rig->service.keeper = rig->keeper_end;
    join(rig, &agent_service, service_rows, n_service_rows, &rig->service, &rig->agent, &rig->host);
    *state = rig;
    return 0;
}

static int close_rig(void **state)
{
    struct rig *rig = *state;
    struct err  err;

    ttrpc_connection_free(rig->host);
    ttrpc_connection_free(rig->agent);
    ttrpc_connection_free(rig->keeper_end);
    ttrpc_connection_free(rig->keeper_server);
    free(rig->service.containers);
    policy_free(&rig->service.policy);
    rules_free(rig->service.rules);
    reaper_free(rig->reaper);
    loop_free(rig->loop);
    assert_true(directory_remove(rig->folder, &err));
    message_free(rig->answer);
    free(rig->folder);
    free(rig->crun);
    free(rig->all);
    free(rig);
    return 0;
}

static void on_reply(void *owner, const ProtobufCMessage *response, const struct err *why)
{
    struct rig                *rig  = owner;
    AUTO(buffer) struct buffer wire = { 0 };
    struct err                 err;

    message_free(TAKE(rig->answer));
    rig->has_answer = response != NULL;
    rig->kind       = response ? ERR_NONE : why->kind;
    (void) snprintf(rig->text, sizeof rig->text, "%s", response ? "" : why->text);
    if (response) {
        message_append(&wire, response);
        assert_true(message_read(response->descriptor, buffer_bytes(&wire), MESSAGE_EXACT, &rig->answer, &err));
    }
    loop_stop(rig->loop);
}

/* Asks, waits, and gives the kind of the outcome. */
static enum err_kind ask(struct rig *rig, const char *name, const ProtobufCMessage *request)
{
    struct ttrpc_method method = { &agent_service, name };
    struct err          err    = { 0 };

    assert_true(ttrpc_connection_call(rig->host, &method, request, on_reply, rig, &err));
    assert_true(loop_run(rig->loop, &err));
    return rig->kind;
}

static enum err_kind create(struct rig *rig, const char *id)
{
    Agent__CreateContainerRequest request  = AGENT__CREATE_CONTAINER_REQUEST__INIT;
    char                          digest[] = IMAGE;

    request.id           = (char *) (uintptr_t) id;
    request.image_digest = digest;
    return ask(rig, "CreateContainer", &request.base);
}

/* All of these have the id as their first field: one shape for the four. */
static enum err_kind on_id(struct rig *rig, const char *method, const char *id)
{
    Agent__StartContainerRequest  start  = AGENT__START_CONTAINER_REQUEST__INIT;
    Agent__DeleteContainerRequest delete = AGENT__DELETE_CONTAINER_REQUEST__INIT;
    Agent__SignalContainerRequest signal = AGENT__SIGNAL_CONTAINER_REQUEST__INIT;

    start.id = delete.id = signal.id = (char *) (uintptr_t) id;
    signal.signal = 23; /* SIGURG: ignored by default */
    return ask(rig, method, strcmp(method, "StartContainer") == 0    ? &start.base
                            : strcmp(method, "DeleteContainer") == 0 ? &delete.base
                                                                     : &signal.base);
}

/* What the model says of a request in a state; CONTAINER_NEW stands for "never created". */
static enum err_kind wanted(int verb, int *state)
{
    switch (verb) {
    case 0: /* create */
        if (*state != CONTAINER_NEW)
            return ERR_DENIED;
        *state = CONTAINER_CREATED;
        return ERR_NONE;
    case 1: /* start */
        if (*state == CONTAINER_NEW || *state == MODEL_GONE)
            return ERR_NOT_FOUND;
        if (*state != CONTAINER_CREATED)
            return ERR_CONFIG;
        *state = CONTAINER_RUNNING;
        return ERR_NONE;
    case 2: /* signal */
        if (*state == CONTAINER_NEW || *state == MODEL_GONE)
            return ERR_NOT_FOUND;
        return *state == CONTAINER_RUNNING ? ERR_NONE : ERR_CONFIG;
    default: /* delete */
        if (*state == CONTAINER_NEW || *state == MODEL_GONE)
            return ERR_NOT_FOUND;
        *state = MODEL_GONE;
        return ERR_NONE;
    }
}

static void requests_in_any_order_do_what_the_model_says(void **state)
{
    static const char *const verbs[] = { "CreateContainer", "StartContainer", "SignalContainer", "DeleteContainer" };
    struct rig              *rig     = *state;
    uint32_t                 random  = 20261123;
    int                      model[STEPS / 10 + IDS] = { 0 };
    size_t                   first   = 0;

    for (int step = 0; step < STEPS; step++) {
        char id[16];

        random       = random * 1664525 + 1013904223; /* the same sequence each time */
        size_t which = first + (random >> 20) % IDS;
        int    verb  = (int) (random >> 28) % 4;
        (void) snprintf(id, sizeof id, "c%zu", which);
        enum err_kind want = wanted(verb, &model[which]);
        enum err_kind got  = verb == 0 ? create(rig, id) : on_id(rig, verbs[verb], id);
        if (got != want)
            fail_msg("step %d: %s %s: kind %d, the model says %d (%s)", step, verbs[verb], id, got, want, rig->text);
        if (model[first] == MODEL_GONE && first + IDS < sizeof model / sizeof *model)
            first++;
    }
    for (size_t i = 0; i < sizeof model / sizeof *model; i++) {
        char id[16];

        (void) snprintf(id, sizeof id, "c%zu", i);
        if (model[i] != CONTAINER_NEW && model[i] != MODEL_GONE)
            assert_int_equal(on_id(rig, "DeleteContainer", id), ERR_NONE);
    }
    assert_int_equal(containers_count(rig->service.containers), 0);
}

static void a_request_that_policy_denies_leaves_no_trace(void **state)
{
    static char                   env[] = "A=1";
    char                         *envs[] = { env };
    char                          id[] = "web", digest[] = IMAGE;
    struct rig                   *rig     = *state;
    Agent__CreateContainerRequest request = AGENT__CREATE_CONTAINER_REQUEST__INIT;

    request.id           = id;
    request.image_digest = digest;
    request.env          = envs;
    request.n_env        = 1;
    assert_int_equal(ask(rig, "CreateContainer", &request.base), ERR_DENIED);
    assert_string_equal(rig->text, "config: policy allows no container with this env");
    assert_int_equal(containers_count(rig->service.containers), 0);
    assert_int_equal(create(rig, "web"), ERR_NONE); /* the id is still good */
    assert_int_equal(on_id(rig, "DeleteContainer", "web"), ERR_NONE);
}

static void what_the_keeper_refuses_comes_through_and_uses_the_id_up(void **state)
{
    struct rig *rig = *state;

    rig->keeper_refuses = true;
    assert_int_equal(create(rig, "web"), ERR_UNTRUSTED);
    assert_string_equal(rig->text, "verify: layer 1 of 1: digest");
    assert_int_equal(containers_count(rig->service.containers), 0);
    assert_int_equal(create(rig, "web"), ERR_DENIED);
    assert_string_equal(rig->text, "config: container id web was used before");
}

static void input_is_denied_without_a_grant_and_streams_have_names(void **state)
{
    char                      id[] = "web";
    struct rig               *rig   = *state;
    Agent__WriteInputRequest  input = AGENT__WRITE_INPUT_REQUEST__INIT;
    Agent__ReadOutputRequest  output = AGENT__READ_OUTPUT_REQUEST__INIT;

    input.id = output.id = id;
    assert_int_equal(ask(rig, "WriteInput", &input.base), ERR_NOT_FOUND);
    assert_int_equal(create(rig, "web"), ERR_NONE);
    assert_int_equal(ask(rig, "WriteInput", &input.base), ERR_DENIED);
    assert_string_equal(rig->text, "start: policy allows no input to this container");
    output.most = 1;
    assert_int_equal(ask(rig, "ReadOutput", &output.base), ERR_MALFORMED);
    output.stream = AGENT__OUTPUT_STREAM__OUTPUT_STREAM_STDOUT;
    output.most   = TRANSFER_LEN_MAX + 1;
    assert_int_equal(ask(rig, "ReadOutput", &output.base), ERR_MALFORMED);
    assert_string_equal(rig->text, "start: wanted stdout or stderr, 1 to 262144 bytes");
    assert_int_equal(on_id(rig, "DeleteContainer", "web"), ERR_NONE);
}

/* Only of a container that has ended, whose output policy lets the host read. */
static void a_receipt_is_refused_before_the_end(void **state)
{
    char                      id[] = "web";
    uint8_t                   nonce[RECEIPT_NONCE_MAX + 1] = { 0 };
    struct rig               *rig     = *state;
    Agent__GetReceiptRequest  request = AGENT__GET_RECEIPT_REQUEST__INIT;

    request.id = id;
    assert_int_equal(ask(rig, "GetReceipt", &request.base), ERR_NOT_FOUND);
    assert_int_equal(create(rig, "web"), ERR_NONE);
    assert_int_equal(ask(rig, "GetReceipt", &request.base), ERR_CONFIG);
    assert_string_equal(rig->text, "start: container web is created; a receipt is of one that has ended");
    request.nonce = (ProtobufCBinaryData){ sizeof nonce, nonce };
    assert_int_equal(ask(rig, "GetReceipt", &request.base), ERR_LIMIT);
    assert_string_equal(rig->text, "start: a nonce over 64 bytes");
    assert_int_equal(on_id(rig, "DeleteContainer", "web"), ERR_NONE);
}

static void the_timeline_names_the_container(void **state)
{
    struct rig               *rig     = *state;
    Agent__GetTimelineRequest request = AGENT__GET_TIMELINE_REQUEST__INIT;

    assert_int_equal(create(rig, "web"), ERR_NONE);
    assert_int_equal(on_id(rig, "StartContainer", "web"), ERR_NONE);
    assert_int_equal(ask(rig, "GetTimeline", &request.base), ERR_NONE);
    const Agent__GetTimelineResponse *answer = (const Agent__GetTimelineResponse *) rig->answer;
    assert_int_equal(answer->n_events, 1);
    assert_string_equal(answer->events[0]->phase, "start");
    assert_string_equal(answer->events[0]->container, "web");
    assert_true(answer->events[0]->end_ms >= answer->events[0]->begin_ms);
    assert_int_equal(on_id(rig, "DeleteContainer", "web"), ERR_NONE);
}

/* The rules see a request first; what they allow is still judged by policy.json. */
static void rules_come_on_top_of_the_policy(void **state)
{
    static const char text[] = "package agent_policy\nimport rego.v1\nCreateContainerRequest if input.id != \"db\"\n"
                               "StartContainerRequest if input.image == \"" IMAGE "\"\nDeleteContainerRequest := true\n";
    struct rig              *rig    = *state;
    Agent__GetStatusRequest  status = AGENT__GET_STATUS_REQUEST__INIT;
    struct err               err;

    assert_true(rules_read(bytes_of_text(text), (struct bytes){ 0 }, &rig->service.rules, &err));
    assert_int_equal(ask(rig, "GetStatus", &status.base), ERR_DENIED);
    assert_string_equal(rig->text, "start: policy.rego: GetStatusRequest is not true");
    assert_int_equal(create(rig, "db"), ERR_DENIED);
    assert_string_equal(rig->text, "config: policy.rego: CreateContainerRequest is not true");
    assert_int_equal(on_id(rig, "StartContainer", "web"), ERR_DENIED); /* no container, so no image */
    assert_int_equal(create(rig, "web"), ERR_NONE);
    assert_int_equal(on_id(rig, "StartContainer", "web"), ERR_NONE);
    assert_int_equal(on_id(rig, "DeleteContainer", "web"), ERR_NONE);
}

static void rules_without_a_policy_decide_alone(void **state)
{
    static const char text[] = "package agent_policy\nimport rego.v1\nCreateContainerRequest if input.env == [\"A=1\"]\nDeleteContainerRequest := true\n";
    char                          id[] = "web", digest[] = IMAGE, env[] = "A=1", *envs[] = { env };
    struct rig                   *rig     = *state;
    Agent__CreateContainerRequest request = AGENT__CREATE_CONTAINER_REQUEST__INIT;
    struct err                    err;

    policy_free(&rig->service.policy);
    rig->service.policy.rules_decide = true;
    assert_true(rules_read(bytes_of_text(text), (struct bytes){ 0 }, &rig->service.rules, &err));
    request.id           = id;
    request.image_digest = digest;
    assert_int_equal(ask(rig, "CreateContainer", &request.base), ERR_DENIED);
    request.env   = envs;
    request.n_env = 1;
    assert_int_equal(ask(rig, "CreateContainer", &request.base), ERR_NONE);
    assert_int_equal(on_id(rig, "DeleteContainer", "web"), ERR_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(requests_in_any_order_do_what_the_model_says, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(a_request_that_policy_denies_leaves_no_trace, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(what_the_keeper_refuses_comes_through_and_uses_the_id_up, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(input_is_denied_without_a_grant_and_streams_have_names, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(the_timeline_names_the_container, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(a_receipt_is_refused_before_the_end, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(rules_come_on_top_of_the_policy, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(rules_without_a_policy_decide_alone, open_rig, close_rig),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
