#include "tests/harness/agent_rig.h"

#include "base/text.h"
#include "guest/api/receipt.h"
#include "keys/api/sealed_secret.h"

/*
 * The agent's service over a real connection, with a keeper that unpacks nothing and a crun that runs nothing: requests
 * in every order, and what the host is told, against a model of the states.
 */
#define IMAGE RIG_IMAGE

static const char policy_text[] = "{\"containers\":[{\"image\":\"" IMAGE "\",\"args\":null,\"env\":[],\"output\":true}]}";
/* Of a container with sealed secrets, which the keeper of these tests opens by turning them round. */
static const char sealing_policy[] =
    "{\"containers\":[{\"image\":\"" IMAGE "\",\"args\":null,\"env\":[\"A=plain\"],\"env_names\":[\"B\"],\"output\":true,"
    "\"files\":[{\"directory\":\"/etc/secret\"}],\"sealed\":[\"kbs:///owner/signer/one\"]}]}";

/* Plays crun: a created container is a process that sleeps. */
static const char player[] =
    "#!/bin/sh\n"
    "case \" $* \" in *' create '*)\n"
    "  while [ \"$1\" != --bundle ]; do shift; done\n"
    "  cp \"$2/config.json\" \"${0%/*}/told\"\n"
    "  cat \"$2\"/files/volume-0/one > \"${0%/*}/files\" 2>/dev/null\n"
    "  while [ \"$1\" != --pid-file ]; do shift; done\n"
    "  sleep 60 </dev/null >/dev/null 2>&1 &\n"
    "  printf %s $! > \"$2\";;\n"
    "esac\n";

enum { IDS = 3, MODEL_GONE = -1, STEPS = 120 };

struct rig {
    struct agent_rig         guest;
    struct ttrpc_connection *host;
    bool                     has_answer, keeper_refuses, unsigned_too, secret_is_binary;
    unsigned                 n_unsealed;
    enum err_kind            kind;
    char                     text[256];
    ProtobufCMessage        *answer; /* a copy */
    char                     waiter_heard[256];
};

static void serve_unpack(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    struct rig            *rig    = owner;
    Keeper__UnpackResponse answer = KEEPER__UNPACK_RESPONSE__INIT;
    struct err             why    = { .kind = ERR_UNTRUSTED, .text = "verify: layer 1 of 1: digest" };
    char                   found[] = IMAGE, config[] = RIG_IMAGE_CONFIG;

    if (((const Keeper__UnpackRequest *) request)->image_digest[0])
        assert_string_equal(((const Keeper__UnpackRequest *) request)->image_digest, IMAGE);
    else
        assert_string_equal(((const Keeper__UnpackRequest *) request)->image_name, "registry.example/shop:v1");
    answer.image_digest = found;
    answer.config = (ProtobufCBinaryData){ sizeof config - 1, (uint8_t *) config };
    if (rig->keeper_refuses)
        ttrpc_refuse(pending, &why);
    else
        ttrpc_answer(pending, &answer.base);
}

static void serve_unseal(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    const Keeper__UnsealRequest *asked  = (const Keeper__UnsealRequest *) request;
    Keeper__UnsealResponse       answer = KEEPER__UNSEAL_RESPONSE__INIT;
    struct rig                  *rig    = owner;
    char                         resource[] = "kbs:///owner/app/password", secret[] = "opened", binary[] = "a\0b";

    assert_string_equal(asked->signer, rig->unsigned_too ? "" : "kbs:///owner/signer/one");
    assert_true(sealed_secret_is((struct bytes){ asked->sealed.data, asked->sealed.len }));
    answer.resource = resource;
    answer.content  = rig->secret_is_binary ? (ProtobufCBinaryData){ 3, (uint8_t *) binary } : (ProtobufCBinaryData){ 6, (uint8_t *) secret };
    rig->n_unsealed++;
    ttrpc_answer(pending, &answer.base);
}

static const struct ttrpc_row keeper_rows[] = { { "Unpack", serve_unpack }, { "Unseal", serve_unseal }, { "Measure", rig_serve_measure } };

static int open_rig(void **state)
{
    struct rig              *rig     = calloc(1, sizeof *rig);
    struct agent_rig_options options = { player, policy_text, keeper_rows, sizeof keeper_rows / sizeof *keeper_rows, rig };

    assert_non_null(rig);
    agent_rig_call(&rig->guest, agent_rig_open(&rig->guest, &options), &rig->host);
    *state = rig;
    return 0;
}

static int close_rig(void **state)
{
    struct rig *rig = *state;

    ttrpc_connection_free(rig->host);
    agent_rig_close(&rig->guest);
    message_free(rig->answer);
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
    loop_stop(rig->guest.loop);
}

/* Asks, waits, and gives the kind of the outcome. */
static enum err_kind ask(struct rig *rig, const char *name, const ProtobufCMessage *request)
{
    struct ttrpc_method method = { &agent_service, name };
    struct err          err    = { 0 };

    assert_true(ttrpc_connection_call(rig->host, &method, request, on_reply, rig, &err));
    assert_true(loop_run(rig->guest.loop, &err));
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
    assert_int_equal(containers_count(rig->guest.service.containers), 0);
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
    assert_int_equal(containers_count(rig->guest.service.containers), 0);
    assert_int_equal(create(rig, "web"), ERR_NONE); /* the id is still good */
    assert_int_equal(on_id(rig, "DeleteContainer", "web"), ERR_NONE);
}

static void what_the_keeper_refuses_comes_through_and_uses_the_id_up(void **state)
{
    struct rig *rig = *state;

    rig->keeper_refuses = true;
    assert_int_equal(create(rig, "web"), ERR_UNTRUSTED);
    assert_string_equal(rig->text, "verify: layer 1 of 1: digest");
    assert_int_equal(containers_count(rig->guest.service.containers), 0);
    assert_int_equal(create(rig, "web"), ERR_DENIED);
    assert_string_equal(rig->text, "config: container id web was used before");
}

static void on_end_told(void *owner, const ProtobufCMessage *response, const struct err *why)
{
    struct rig *rig = owner;

    (void) snprintf(rig->waiter_heard, sizeof rig->waiter_heard, "%s", response ? "ended" : why->text);
}

/* Sent behind the creation, so that it is asked while the keeper unpacks. */
static void whoever_waits_for_a_container_that_never_came_is_told(void **state)
{
    static const struct ttrpc_method create_container = { &agent_service, "CreateContainer" };
    static const struct ttrpc_method wait_container   = { &agent_service, "WaitContainer" };
    char                             id[] = "web", digest[] = IMAGE;
    struct rig                      *rig    = *state;
    Agent__CreateContainerRequest    create = AGENT__CREATE_CONTAINER_REQUEST__INIT;
    Agent__WaitContainerRequest      wait   = AGENT__WAIT_CONTAINER_REQUEST__INIT;
    Agent__GetStatusRequest          status = AGENT__GET_STATUS_REQUEST__INIT;
    struct err                       err;

    create.id = wait.id = id;
    create.image_digest = digest;
    rig->keeper_refuses = true;
    assert_true(ttrpc_connection_call(rig->host, &create_container, &create.base, on_reply, rig, &err));
    assert_true(ttrpc_connection_call(rig->host, &wait_container, &wait.base, on_end_told, rig, &err));
    assert_true(loop_run(rig->guest.loop, &err));
    assert_string_equal(rig->text, "verify: layer 1 of 1: digest");
    assert_int_equal(ask(rig, "GetStatus", &status.base), ERR_NONE); /* what was answered before this was heard */
    assert_string_equal(rig->waiter_heard, "start: it never ran");
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

    assert_true(rules_read(bytes_of_text(text), (struct bytes){ 0 }, &rig->guest.service.rules, &err));
    assert_int_equal(ask(rig, "GetStatus", &status.base), ERR_DENIED);
    assert_string_equal(rig->text, "start: policy.rego: GetStatusRequest is not true");
    assert_int_equal(create(rig, "db"), ERR_DENIED);
    assert_string_equal(rig->text, "config: policy.rego: CreateContainerRequest is not true");
    assert_int_equal(on_id(rig, "StartContainer", "web"), ERR_DENIED); /* no container, so no image */
    assert_int_equal(create(rig, "web"), ERR_NONE);
    assert_int_equal(on_id(rig, "StartContainer", "web"), ERR_NONE);
    assert_int_equal(on_id(rig, "DeleteContainer", "web"), ERR_NONE);
}

/* What a tag stood for is known once the keeper has found it: in rules on all that comes later, and in receipts. */
static void an_image_found_by_its_name_has_its_digest_from_then_on(void **state)
{
    static const char text[] = "package agent_policy\nimport rego.v1\n"
                               "CreateContainerRequest if {\n input.image_digest == \"\"\n input.image_name == \"registry.example/shop:v1\"\n}\n"
                               "StartContainerRequest if input.image == \"" IMAGE "\"\nDeleteContainerRequest := true\n";
    char                          id[] = "web", name[] = "registry.example/shop:v1";
    struct rig                   *rig     = *state;
    Agent__CreateContainerRequest request = AGENT__CREATE_CONTAINER_REQUEST__INIT;
    struct err                    err;

    policy_free(&rig->guest.service.policy);
    rig->guest.service.policy.rules_decide = true;
    assert_true(rules_read(bytes_of_text(text), (struct bytes){ 0 }, &rig->guest.service.rules, &err));
    request.id         = id;
    request.image_name = name;
    assert_int_equal(ask(rig, "CreateContainer", &request.base), ERR_NONE);
    assert_string_equal(containers_find(rig->guest.service.containers, "web")->image, IMAGE);
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

    policy_free(&rig->guest.service.policy);
    rig->guest.service.policy.rules_decide = true;
    assert_true(rules_read(bytes_of_text(text), (struct bytes){ 0 }, &rig->guest.service.rules, &err));
    request.id           = id;
    request.image_digest = digest;
    assert_int_equal(ask(rig, "CreateContainer", &request.base), ERR_DENIED);
    request.env   = envs;
    request.n_env = 1;
    assert_int_equal(ask(rig, "CreateContainer", &request.base), ERR_NONE);
    assert_int_equal(on_id(rig, "DeleteContainer", "web"), ERR_NONE);
}

static void policy_is(struct rig *rig, const char *text)
{
    struct err err;

    policy_free(&rig->guest.service.policy);
    assert_true(policy_read(bytes_of_text(text), &rig->guest.service.policy, &err));
}

static struct buffer sealed_by(const char *kid)
{
    AUTO(pkey) EVP_PKEY *key  = EVP_EC_gen("P-256");
    struct buffer        text = { 0 };
    struct err           err;

    assert_true(sealed_secret_write_vault("kbs:///owner/app/password", kid, key, &text, &err));
    return text;
}

/* A variable B, and a file, of these contents. */
static enum err_kind create_with(struct rig *rig, const char *id, const char *variable, const char *content)
{
    Agent__CreateContainerRequest request = AGENT__CREATE_CONTAINER_REQUEST__INIT;
    Agent__File                   file    = AGENT__FILE__INIT, *files[] = { &file };
    Agent__FileVolume                 volume  = AGENT__FILE_VOLUME__INIT, *volumes[] = { &volume };
    char                          digest[] = IMAGE, path[] = "one", at[] = "/etc/secret", plain[] = "A=plain", sleep_[] = "sleep", sixty[] = "60";
    char                         *env[2] = { plain }, *args[] = { sleep_, sixty };
    enum err_kind                 kind;

    assert_true(asprintf(&env[1], "B=%s", variable) > 0);
    request.id = (char *) (uintptr_t) id;
    request.image_digest = digest;
    request.is_whole     = true;
    request.args         = args;
    request.n_args       = 2;
    request.env          = env;
    request.n_env        = 2;
    file.path            = path;
    file.mode            = 0400;
    file.content         = (ProtobufCBinaryData){ strlen(content), (uint8_t *) (uintptr_t) content };
    volume.path          = at;
    volume.files         = files;
    volume.n_files       = 1;
    request.file_volumes      = volumes;
    request.n_file_volumes    = 1;
    kind = ask(rig, "CreateContainer", &request.base);
    free(env[1]);
    return kind;
}

static void assert_holds(struct rig *rig, const char *name, const char *wanted)
{
    AUTO(buffer) struct buffer text = { 0 };
    AUTO(text) char           *path = NULL;
    struct err                 err;

    assert_true(asprintf(&path, "%s/%s", rig->guest.folder, name) > 0);
    assert_true(file_read(path, 1 << 20, &text, &err));
    if (!strstr(buffer_text(&text), wanted))
        fail_msg("%s: wanted %s in %s", name, wanted, buffer_text(&text));
}

static void sealed_variables_and_files_are_opened_before_the_container_is_made(void **state)
{
    AUTO(buffer) struct buffer sealed = sealed_by("kbs:///owner/signer/one");
    struct rig                *rig    = *state;

    policy_is(rig, sealing_policy);
    assert_int_equal(create_with(rig, "web", buffer_text(&sealed), buffer_text(&sealed)), ERR_NONE);
    assert_int_equal(rig->n_unsealed, 2);
    assert_holds(rig, "told", "\"B=opened\"");
    assert_holds(rig, "told", "\"A=plain\"");
    assert_holds(rig, "files", "opened");
    assert_int_equal(on_id(rig, "DeleteContainer", "web"), ERR_NONE);
    assert_int_equal(create_with(rig, "db", "seal", "unsealed.it.is"), ERR_NONE);
    assert_int_equal(rig->n_unsealed, 2);
    assert_holds(rig, "files", "unsealed.it.is");
    assert_int_equal(on_id(rig, "DeleteContainer", "db"), ERR_NONE);
}

static void what_is_sealed_by_others_makes_no_container(void **state)
{
    AUTO(buffer) struct buffer other = sealed_by("kbs:///someone/signer/else");
    AUTO(buffer) struct buffer good  = sealed_by("kbs:///owner/signer/one");
    struct rig                *rig   = *state;

    policy_is(rig, sealing_policy);
    assert_int_equal(create_with(rig, "a", buffer_text(&other), "x"), ERR_DENIED);
    assert_string_equal(rig->text, "key: variable B: policy takes no sealed secret of kbs:///someone/signer/else for this container");
    assert_int_equal(create_with(rig, "b", "x", buffer_text(&other)), ERR_DENIED);
    assert_string_equal(rig->text, "key: file one: policy takes no sealed secret of kbs:///someone/signer/else for this container");
    assert_int_equal(create_with(rig, "c", "sealed.x", "x"), ERR_MALFORMED);
    assert_string_equal(rig->text, "key: variable B: sealed secret: a token is three parts with two dots between");
    assert_int_equal(create_with(rig, "d", "sealed.fakejwsheader.e30.x", "x"), ERR_DENIED);
    assert_string_equal(rig->text, "key: variable B: policy takes no sealed secret without a signature for this container");
    assert_int_equal(rig->n_unsealed, 0);
    rig->secret_is_binary = true;
    assert_int_equal(create_with(rig, "e", buffer_text(&good), "x"), ERR_MALFORMED);
    assert_string_equal(rig->text, "key: variable B: the secret is no UTF-8 text, or has a zero byte in it: no value of a variable");
    assert_int_equal(containers_count(rig->guest.service.containers), 0);
    assert_int_equal(create_with(rig, "f", "x", buffer_text(&good)), ERR_NONE); /* a file may hold any byte */
    assert_int_equal(on_id(rig, "DeleteContainer", "f"), ERR_NONE);
}

/* Nobody vouches for it: what it names must be the container's in any case. */
static void an_unsigned_secret_names_a_resource_of_the_container(void **state)
{
    static const char policy[] =
        "{\"containers\":[{\"image\":\"" IMAGE "\",\"args\":null,\"env\":[\"A=plain\"],\"env_names\":[\"B\"],\"output\":true,"
        "\"files\":[{\"directory\":\"/etc/secret\"}],\"sealed_unsigned\":true,\"resources\":[\"kbs:///owner/app/password\"]}]}";
    static const char payload[] = "{\"version\":\"0.1.0\",\"type\":\"vault\",\"name\":\"kbs:///owner/app/%s\",\"provider\":\"kbs\","
                                  "\"provider_settings\":{},\"annotations\":{}}";
    struct rig       *rig = *state;

    policy_is(rig, policy);
    rig->unsigned_too = true;
    for (int i = 0; i < 2; i++) {
        AUTO(buffer) struct buffer text = { 0 }, plain = { 0 };

        buffer_printf(&plain, payload, i == 0 ? "password" : "other");
        buffer_append_text(&text, "sealed.fakejwsheader.");
        base64_append(&text, buffer_bytes(&plain), BASE64_URL);
        buffer_append_text(&text, ".fakesignature");
        assert_int_equal(create_with(rig, i == 0 ? "a" : "b", buffer_text(&text), "x"), i == 0 ? ERR_NONE : ERR_DENIED);
    }
    assert_string_equal(rig->text, "key: variable B: policy does not let this container have kbs:///owner/app/other");
    assert_int_equal(rig->n_unsealed, 1);
    assert_int_equal(on_id(rig, "DeleteContainer", "a"), ERR_NONE);
}

/* The owner's rules are asked as for a workload that asks itself. */
static void rules_judge_what_a_sealed_secret_stands_for(void **state)
{
    static const char text[] = "package agent_policy\nimport rego.v1\nCreateContainerRequest := true\nDeleteContainerRequest := true\n"
                               "UnsealSecretRequest if input.resource == \"kbs:///owner/app/else\"\n";
    AUTO(buffer) struct buffer good = sealed_by("kbs:///owner/signer/one");
    struct rig                *rig  = *state;
    struct err                 err;

    policy_is(rig, sealing_policy);
    assert_true(rules_read(bytes_of_text(text), (struct bytes){ 0 }, &rig->guest.service.rules, &err));
    assert_int_equal(create_with(rig, "a", buffer_text(&good), "x"), ERR_DENIED);
    assert_string_equal(rig->text, "key: variable B: policy.rego: UnsealSecretRequest is not true");
    assert_int_equal(containers_count(rig->guest.service.containers), 0);
}

/* What does not fit is refused before any of it is kept, with one more than there is room for and with very many. */
static void lists_of_volumes_that_do_not_fit_are_refused(void **state)
{
    enum { VERY_MANY = 6000 };
    static const size_t           counts[] = { VOLUME_TREES_MAX + 1, 5000 };
    char                          id[] = "web", digest[] = IMAGE, at[] = "/etc/secret", name[] = "cache";
    struct rig                   *rig  = *state;
    Agent__FileVolume             tree      = AGENT__FILE_VOLUME__INIT, *trees[VERY_MANY];
    Agent__EmptyDirectory         directory = AGENT__EMPTY_DIRECTORY__INIT, *directories[VERY_MANY];
    Agent__Volume                 disk      = AGENT__VOLUME__INIT, *disks[VERY_MANY];
    Agent__File                   file      = AGENT__FILE__INIT, *files[VERY_MANY];

    tree.path = directory.path = disk.path = file.path = at;
    directory.volume = disk.volume = name;
    for (size_t i = 0; i < VERY_MANY; i++) {
        trees[i]       = &tree;
        directories[i] = &directory;
        disks[i]       = &disk;
        files[i]       = &file;
    }
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        for (size_t which = 0; which < 4; which++) {
            static const char *const      wanted[] = { "over 32 volumes of files", "over 16 empty directories", "over 8 volumes", "over 128 files" };
            Agent__CreateContainerRequest request  = AGENT__CREATE_CONTAINER_REQUEST__INIT;
            size_t                       *n[] = { &request.n_file_volumes, &request.n_empty_directories, &request.n_volumes, &request.n_files };

            request.id                = id;
            request.image_digest      = digest;
            request.file_volumes      = trees;
            request.empty_directories = directories;
            request.volumes           = disks;
            request.files             = files;
            *n[which]                 = counts[i] + (which == 3 ? VOLUME_FILES_MAX : 0);
            assert_int_equal(ask(rig, "CreateContainer", &request.base), ERR_LIMIT);
            if (!strstr(rig->text, wanted[which]))
                fail_msg("wanted %s in %s", wanted[which], rig->text);
        }
    assert_int_equal(containers_count(rig->guest.service.containers), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(requests_in_any_order_do_what_the_model_says, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(a_request_that_policy_denies_leaves_no_trace, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(what_the_keeper_refuses_comes_through_and_uses_the_id_up, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(whoever_waits_for_a_container_that_never_came_is_told, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(input_is_denied_without_a_grant_and_streams_have_names, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(the_timeline_names_the_container, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(a_receipt_is_refused_before_the_end, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(sealed_variables_and_files_are_opened_before_the_container_is_made, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(what_is_sealed_by_others_makes_no_container, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(an_unsigned_secret_names_a_resource_of_the_container, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(rules_judge_what_a_sealed_secret_stands_for, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(rules_come_on_top_of_the_policy, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(an_image_found_by_its_name_has_its_digest_from_then_on, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(rules_without_a_policy_decide_alone, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(lists_of_volumes_that_do_not_fit_are_refused, open_rig, close_rig),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
