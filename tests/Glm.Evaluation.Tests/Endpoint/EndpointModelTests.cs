namespace Glm.Evaluation.Tests;

public sealed class EndpointModelTests : IDisposable
{
    private readonly TestEndpoint _endpoint = new();
    private readonly TemporaryFolder _folder = new();

    public void Dispose()
    {
        _endpoint.Dispose();
        _folder.Dispose();
    }

    private EndpointOptions Options => EndpointOptions.Of(_endpoint.Address, null) with { Model = "m", FirstDelay = TimeSpan.FromMilliseconds(1), LongestBackoff = TimeSpan.FromMilliseconds(5), Connections = 4 };

    private static ChoiceItem[] Questions(int count) => [.. Enumerable.Range(0, count).Select(i => new ChoiceItem($"Question {i} is this. Answer:", ["longest", "mid", "longer"]))];

    private static int[] All(int count) => [.. Enumerable.Range(0, count)];

    private int Asked => _endpoint.Requests.Count(request => !request.IsProbe);

    private List<Answer<ChoiceScores>> Choose(ChoiceItem[] items, EndpointOptions? options = null, List<string>? notes = null)
    {
        using var model = EndpointModel.Open(options ?? Options, note => { lock (notes ?? []) notes?.Add(note); });
        return [.. model.Choose(items, All(items.Length), new ReadingOptions()).OrderBy(answer => answer.Item)];
    }

    [Fact]
    public void Choices_are_scored_by_the_tokens_behind_the_prompt()
    {
        var answers = Choose([new ChoiceItem("The sky is", ["dark blue", "red"]), new ChoiceItem("A [MASK] barks.", ["cat", "poodle"]), new ChoiceItem("", ["some words", "x"])]);
        Assert.Equal([-0.5 - 0.5, -0.4], answers[0].Value!.Scores!);
        Assert.Equal([2, 1], answers[0].Value!.Tokens!);
        Assert.Equal(1, answers[0].Value!.Prediction);
        Assert.Equal([-0.4 - 0.7, -0.7 - 0.7], answers[1].Value!.Scores!, (a, b) => Math.Abs(a - b) < 1e-9); // what follows the blank counts
        Assert.Equal(1, answers[2].Value!.Prediction);
        Assert.All(_endpoint.Requests.Where(request => !request.IsProbe), request => Assert.EndsWith("/v1/completions", request.Path));
    }

    [Fact]
    public void A_token_over_the_joint_belongs_to_the_choice_and_characters_are_code_points()
    {
        // The prompt ends inside of a word, and has characters of two UTF-16 units.
        var answer = Assert.Single(Choose([new ChoiceItem("\U0001F600\U0001F600 x (", ["A) b", "B"])])).Value!;
        Assert.Equal([TestEndpoint.Score(" (A)") + TestEndpoint.Score(" b"), TestEndpoint.Score(" (B")], answer.Scores!, (a, b) => Math.Abs(a - b) < 1e-9);
    }

    /// <summary>A token that begins every text has a text of its own, and a character may lie in several tokens.</summary>
    [Theory]
    [InlineData("""{"tokens":["<s>","ab"," cd"," ef"],"token_logprobs":[null,-1,-2,-4],"text_offset":[0,3,5,8]}""", -2, 1)]
    [InlineData("""{"tokens":["ab"," cd"," ef"],"token_logprobs":[null,-2,-4]}""", -2, 1)]
    [InlineData("""{"tokens":["ab","bytes: \\xe4","bytes:\\xb8 cd"," ef"],"token_logprobs":[null,-1,-2,-4],"text_offset":[0,2,2,5]}""", -3, 2)]
    public void Tokens_are_placed_in_the_text(string logprobs, double score, int tokens)
    {
        _endpoint.Misbehave = async (request, stream) =>
        {
            if (request.IsProbe) return false;
            await TestEndpoint.AnswerAsync(stream, "200 OK", $$"""{"choices":[{"logprobs":{{logprobs}}}]}""");
            return true;
        };
        var answer = Assert.Single(Choose([new ChoiceItem("ab", ["cd"])])).Value!;
        Assert.Equal((score, tokens), (answer.Scores![0], answer.Tokens![0]));
    }

    [Fact]
    public void Without_probabilities_the_model_answers_with_a_letter()
    {
        _endpoint.HasProbabilities = false;
        _endpoint.Writes = prompt => prompt.Contains("Question 1") ? "I cannot say." : "The answer is (B).";
        var answers = Choose(Questions(2));
        Assert.Equal([1, -1], answers.Select(answer => answer.Value!.Prediction));
        Assert.Null(answers[0].Value!.Scores);
        var request = _endpoint.Requests.Last();
        Assert.EndsWith("/chat/completions", request.Path);
        Assert.Contains("\nB. mid\n", request.Prompt);
    }

    [Fact]
    public void Without_chat_completions_answer_too()
    {
        (_endpoint.HasProbabilities, _endpoint.HasChat) = (false, false);
        _endpoint.Writes = _ => " C";
        Assert.Equal(2, Assert.Single(Choose(Questions(1))).Value!.Prediction);
        Assert.EndsWith("\nAnswer:", _endpoint.Requests.Last().Prompt);
    }

    [Fact]
    public void The_interface_can_be_chosen()
    {
        _endpoint.Writes = _ => "A";
        Assert.Null(Assert.Single(Choose(Questions(1), Options with { Interface = EndpointInterface.Chat })).Value!.Scores);
        Assert.All(_endpoint.Requests, request => Assert.EndsWith("/chat/completions", request.Path));
    }

    public static TheoryData<string> Passing => ["429", "500", "503 with a date", "cut", "truncated", "no JSON", "silence"];

    /// <summary>Whatever may pass is asked again, and the answer is the same.</summary>
    [Theory]
    [MemberData(nameof(Passing))]
    public void What_may_pass_is_asked_again(string how)
    {
        _endpoint.Misbehave = async (request, stream) =>
        {
            if (request.IsProbe || request.Number >= 2) return false;
            await (how switch
            {
                "429" => TestEndpoint.AnswerAsync(stream, "429 Too Many Requests", """{"error":{"message":"slow down"}}""", "Retry-After: 0\r\n"),
                "500" => TestEndpoint.AnswerAsync(stream, "500 Internal Server Error", "oops\nand more"),
                "503 with a date" => TestEndpoint.AnswerAsync(stream, "503 Service Unavailable", "", $"Retry-After: {DateTimeOffset.UtcNow.AddSeconds(-1):R}\r\n"),
                "cut" => TestEndpoint.AnswerAsync(stream, "200 OK", """{"choices":[{"te""", length: 500),
                "truncated" => TestEndpoint.AnswerAsync(stream, "200 OK", """{"choices":[{"te"""),
                "no JSON" => TestEndpoint.AnswerAsync(stream, "200 OK", "<html>Bad gateway</html>"),
                _ => Task.Delay(TimeSpan.FromSeconds(3)),
            });
            return true;
        };
        var notes = new List<string>();
        var answers = Choose(Questions(2), Options with { Timeout = TimeSpan.FromSeconds(how == "silence" ? 1 : 30) }, notes);
        Assert.All(answers, answer => Assert.Equal(1, answer.Value!.Prediction));
        Assert.True(notes.Count >= 12, $"{notes.Count}"); // twice for each choice; more where a busy machine is slow itself
        Assert.All(notes, note => Assert.DoesNotContain('\n', note));
        Assert.All(notes, note => Assert.Contains("again in", note));
    }

    [Fact]
    public void What_does_not_pass_is_given_up()
    {
        _endpoint.Misbehave = async (request, stream) =>
        {
            if (!request.Prompt.Contains("Question 1 ")) return false;
            await TestEndpoint.AnswerAsync(stream, "500 Internal Server Error", """{"error":"broken"}""");
            return true;
        };
        var answers = Choose(Questions(3), Options with { Retries = 2 });
        Assert.Equal([true, false, true], answers.Select(answer => answer.Value is not null));
        Assert.Contains("HTTP 500: broken (3 attempts)", answers[1].Error);
    }

    [Fact]
    public void Too_long_a_wait_is_not_waited()
    {
        _endpoint.Misbehave = async (request, stream) =>
        {
            await TestEndpoint.AnswerAsync(stream, "429 Too Many Requests", "{}", "Retry-After: 86400\r\n");
            return true;
        };
        Assert.Contains("asked to wait for 86400 s", Assert.Throws<GlmException>(() => Choose(Questions(1))).Message);
    }

    [Theory]
    [InlineData("401 Unauthorized")]
    [InlineData("403 Forbidden")]
    public void A_refused_key_ends_everything_at_once_and_is_not_shown(string status)
    {
        const string variable = "GLM_TEST_ENDPOINT_KEY", key = "sk-very-secret";
        Environment.SetEnvironmentVariable(variable, key);
        _endpoint.Misbehave = async (request, stream) =>
        {
            Assert.Equal($"Bearer {key}", request.Headers["Authorization"]);
            if (request.IsProbe) return false;
            await TestEndpoint.AnswerAsync(stream, status, """{"error":{"message":"wrong key"}}""");
            return true;
        };
        var options = EndpointOptions.Of(_endpoint.Address, variable) with { Model = "m", Connections = 1 };
        string message = Assert.Throws<GlmException>(() => Choose(Questions(5), options)).Message;
        Assert.Contains(variable, message);
        Assert.DoesNotContain(key, message);
        Assert.DoesNotContain(key, options.ToString());
        Assert.Equal(1, Asked);
    }

    public static TheoryData<string> WrongShapes =>
    [
        """[]""", """{}""", """{"choices":[]}""", """{"choices":[5]}""", """{"choices":[{"text":"x"}]}""", """{"choices":[{"logprobs":{"tokens":["a"],"token_logprobs":[null,1]}}]}""",
        """{"choices":[{"logprobs":{"tokens":[1],"token_logprobs":[null]}}]}""", """{"choices":[{"logprobs":{"tokens":["a"],"token_logprobs":["x"],"text_offset":[0]}}]}""",
        """{"choices":[{"logprobs":{"tokens":["a"],"token_logprobs":[null],"text_offset":[99]}}]}""", """{"choices":[{"logprobs":{"tokens":["only the reply"],"token_logprobs":[-1],"text_offset":[0]}}]}""",
        """{"choices":[{"logprobs":{"tokens":["Question 0 is this. Answer:"," longest"],"token_logprobs":[null,null],"text_offset":[0,27]}}]}""",
    ];

    [Theory]
    [MemberData(nameof(WrongShapes))]
    public void Another_shape_is_an_error_of_the_item_that_says_where(string reply)
    {
        _endpoint.Misbehave = async (request, stream) =>
        {
            if (request.IsProbe) return false;
            await TestEndpoint.AnswerAsync(stream, "200 OK", reply);
            return true;
        };
        var answer = Assert.Single(Choose(Questions(1)));
        Assert.Null(answer.Value);
        Assert.Contains("reply: ", answer.Error);
    }

    [Fact]
    public void Many_failures_in_a_row_end_the_run()
    {
        _endpoint.Misbehave = async (request, stream) =>
        {
            if (request.IsProbe) return false;
            await TestEndpoint.AnswerAsync(stream, "400 Bad Request", """{"error":{"message":"context length"}}""");
            return true;
        };
        string message = Assert.Throws<GlmException>(() => Choose(Questions(100))).Message;
        Assert.Contains("8 requests failed one after the other", message);
        Assert.Contains("context length", message);
        Assert.InRange(Asked, 8, 20);
    }

    [Fact]
    public void An_address_where_nobody_answers_is_one_line()
    {
        var options = Options;
        _endpoint.Dispose();
        string message = Assert.Throws<GlmException>(() => Choose(Questions(1), options)).Message;
        Assert.Contains("(3 attempts)", message);
        Assert.DoesNotContain('\n', message);
    }

    [Fact]
    public void Redirects_are_not_followed()
    {
        _endpoint.Misbehave = async (request, stream) =>
        {
            await TestEndpoint.AnswerAsync(stream, "302 Found", "", $"Location: {_endpoint.Address}/elsewhere\r\n");
            return true;
        };
        Assert.Contains("HTTP 302", Assert.Throws<GlmException>(() => Choose(Questions(1))).Message);
        Assert.DoesNotContain(_endpoint.Requests, request => request.Path.Contains("elsewhere"));
    }

    [Fact]
    public void An_answer_without_end_is_cut_off()
    {
        _endpoint.Misbehave = async (request, stream) =>
        {
            if (request.IsProbe) return false;
            await TestEndpoint.AnswerAsync(stream, "200 OK", new string(' ', 100_000), length: 1_000_000_000);
            return true;
        };
        Assert.Contains("at most 50,000 bytes", Assert.Single(Choose(Questions(1), Options with { LargestResponse = 50_000 })).Error);
    }

    [Fact]
    public void Nothing_is_asked_twice_and_the_cache_holds_no_key()
    {
        const string variable = "GLM_TEST_CACHE_KEY";
        Environment.SetEnvironmentVariable(variable, "sk-very-secret");
        var options = EndpointOptions.Of(_endpoint.Address, variable) with { Model = "m", Cache = _folder.Path };
        var first = Choose(Questions(5), options);
        Assert.Equal(15, Asked);
        var second = Choose(Questions(5), options);
        Assert.Equal(15, Asked);
        Assert.Equal(first.SelectMany(answer => answer.Value!.Scores!), second.SelectMany(answer => answer.Value!.Scores!));
        string[] files = Directory.GetFiles(_folder.Path, "*", SearchOption.AllDirectories);
        Assert.Equal(15, files.Length);
        Assert.All(files, file => Assert.DoesNotContain("very-secret", File.ReadAllText(file)));
        File.WriteAllText(files[0], "{\"choi"); // torn by something else than us
        Assert.Equal(5, Choose(Questions(5), options).Count(answer => answer.Value is not null));
        Assert.Equal(16, Asked);
        Choose(Questions(5), options with { Model = "another" });
        Assert.Equal(31, Asked);
    }

    [Fact]
    public void Equal_questions_at_a_time_are_one()
    {
        _endpoint.Misbehave = async (request, stream) =>
        {
            await Task.Delay(20);
            return false;
        };
        var answers = Choose([.. Enumerable.Repeat(Questions(1)[0], 30)], Options with { Cache = _folder.Path });
        Assert.All(answers, answer => Assert.Equal(1, answer.Value!.Prediction));
        Assert.Equal(3, Asked);
    }

    [Fact]
    public void Requests_run_side_by_side_within_the_limit()
    {
        int open = 0, most = 0;
        _endpoint.Misbehave = async (request, stream) =>
        {
            int now = Interlocked.Increment(ref open);
            lock (_folder) most = Math.Max(most, now);
            await Task.Delay(20);
            Interlocked.Decrement(ref open); // before the answer, which the next request may overtake
            return false;
        };
        Assert.Equal(40, Choose(Questions(40), Options with { RequestsPerMinute = 60_000 }).Count);
        Assert.InRange(most, 2, 4);
    }

    [Fact]
    public void What_was_answered_before_an_interruption_is_handed_out()
    {
        using var cancellation = new CancellationTokenSource();
        using var model = EndpointModel.Open(Options with { Connections = 1 });
        _endpoint.Misbehave = (request, stream) =>
        {
            if (request.Prompt.Contains("Question 5 ")) cancellation.Cancel();
            return Task.FromResult(false);
        };
        var answers = new List<int>();
        Assert.ThrowsAny<OperationCanceledException>(() =>
        {
            foreach (var answer in model.Choose(Questions(50), All(50), new ReadingOptions(), cancellation.Token)) answers.Add(answer.Item);
        });
        Assert.Equal([0, 1, 2, 3, 4], answers);
    }

    [Fact]
    public void Generation_asks_for_what_the_task_says()
    {
        _endpoint.Writes = _ => " Paris, of course\nQuestion";
        using var model = EndpointModel.Open(Options);
        var options = new GenerationOptions { MaxNewTokens = 7, Temperature = 0.5, TopP = 0.9, Samples = 2, Stop = ["\n"] };
        var answer = Assert.Single(model.Generate(["Where? [gMASK]"], [0], new ReadingOptions(), options));
        Assert.Equal([" Paris, of course", " Paris, of course"], answer.Value!.Texts);
        var body = _endpoint.Requests.Last().Body;
        Assert.Equal(("Where?", 7, 0.5, 0.9, 2), ((string)body["prompt"]!, (int)body["max_tokens"]!, (double)body["temperature"]!, (double)body["top_p"]!, (int)body["n"]!));
        Assert.Equal("Paris", Assert.Single(model.Generate(["x"], [0], new ReadingOptions(), new GenerationOptions { Form = AnswerForm.Word })).Value!.Text);
    }

    [Fact]
    public void A_model_that_thinks_first_is_given_the_other_limit()
    {
        (_endpoint.HasCompletions, _endpoint.Writes) = (false, _ => "A");
        _endpoint.Misbehave = async (request, stream) =>
        {
            if (request.Body["max_tokens"] is null) return false;
            await TestEndpoint.AnswerAsync(stream, "400 Bad Request", """{"error":{"message":"Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."}}""");
            return true;
        };
        Assert.All(Choose(Questions(3)), answer => Assert.Equal(0, answer.Value!.Prediction));
        Assert.Null(_endpoint.Requests.Last().Body["temperature"]);
    }

    [Fact]
    public void Texts_are_read_whole_in_windows()
    {
        string text = string.Concat(Enumerable.Range(0, 400).Select(i => $"w{i % 17} ")) + "\u4F60\u597D end";
        using var model = EndpointModel.Open(Options);
        var whole = Assert.Single(model.Read([text], [0], new ReadingOptions { MaxSequenceLength = 10_000 }, null)).Value!;
        Assert.Equal(TestEndpoint.Words(text).Length, whole.Tokens);
        // All but the first word, before which a line break is put, have their own score.
        Assert.Equal(-TestEndpoint.Words("\n" + text).Sum(TestEndpoint.Score), whole.Nats, 0.11);
        int before = Asked;
        var windows = Assert.Single(model.Read([text], [0], new ReadingOptions { MaxSequenceLength = 100 }, null)).Value!;
        Assert.True(Asked - before > 5);
        Assert.All(_endpoint.Requests.Where(request => !request.IsProbe).Skip(before), request => Assert.True(System.Text.Encoding.UTF8.GetByteCount(request.Prompt) <= 301));
        Assert.InRange(windows.Nats / whole.Nats, 0.97, 1.05); // words that a window cuts count as two
    }

    /// <summary>An endpoint says how long its model is, or refuses what is too long; either way the text is read.</summary>
    [Theory]
    [InlineData("""{"data":[{"id":"m","max_model_len":300}]}""", 300)]
    [InlineData("""{"data":[{"id":"m","glm":{"max_length":300}},{"id":"n","max_model_len":7}]}""", 300)]
    [InlineData("""{"data":[{"id":"m"}]}""", null)]
    [InlineData("[]", null)]
    public void The_length_of_the_model_is_found(string models, int? length)
    {
        _endpoint.Misbehave = async (request, stream) =>
        {
            bool isList = request.Path.EndsWith("/models", StringComparison.Ordinal);
            if (!isList && request.Prompt.Length <= 1000) return false;
            await TestEndpoint.AnswerAsync(stream, isList ? "200 OK" : "400 Bad Request", isList ? models : """{"error":{"message":"maximum context length"}}""");
            return true;
        };
        using var model = EndpointModel.Open(Options);
        Assert.Equal(length, model.Identity.MaxSequenceLength);
        string text = string.Concat(Enumerable.Repeat("word ", 1000));
        var answer = Assert.Single(model.Read([text], [0], new ReadingOptions { MaxSequenceLength = 2048 }, null));
        Assert.InRange(answer.Value!.Tokens, 1000, 1100);
        var choice = Assert.Single(model.Choose([new ChoiceItem(text, ["good", "excellent"])], [0], new ReadingOptions { MaxSequenceLength = 2048 }));
        Assert.Equal([1, 1], choice.Value!.Tokens!);
    }

    [Fact]
    public void Without_probabilities_no_text_is_read()
    {
        _endpoint.HasProbabilities = false;
        using var model = EndpointModel.Open(Options);
        Assert.Contains("logprobs", Assert.Throws<GlmException>(() => model.Read(["x"], [0], new ReadingOptions(), null).ToList()).Message);
    }

    [Theory]
    [InlineData("""{"data":[{"id":"a"},{"id":"b"}]}""", "found 2: a, b")]
    [InlineData("""{"data":[]}""", "found none")]
    [InlineData("""{"data":{}}""", "expected array")]
    public void The_model_must_be_named_unless_there_is_one(string models, string reason)
    {
        _endpoint.Misbehave = async (request, stream) =>
        {
            if (!request.Path.EndsWith("/models", StringComparison.Ordinal)) return false;
            await TestEndpoint.AnswerAsync(stream, "200 OK", models);
            return true;
        };
        Assert.Contains(reason, Assert.Throws<GlmException>(() => EndpointModel.Open(Options with { Model = null })).Message);
        _endpoint.Misbehave = null;
        using var model = EndpointModel.Open(Options with { Model = null });
        Assert.Equal("m", model.Identity.Name);
    }

    [Theory]
    [InlineData("nonsense")]
    [InlineData("ftp://host/v1")]
    [InlineData("https://user:secret@host/v1")]
    [InlineData("https://host/v1?key=secret")]
    public void Only_plain_addresses_are_taken(string address)
    {
        string message = Assert.Throws<GlmException>(() => EndpointOptions.Of(address, null)).Message;
        Assert.DoesNotContain("secret", message);
    }

    [Fact]
    public void An_address_without_a_path_is_that_of_v1() => Assert.Equal("https://host/v1", EndpointOptions.Of("https://host", null).Address.AbsoluteUri);
}
