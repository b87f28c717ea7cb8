using Glm.Evaluation.Tests;

namespace Glm.Cli.Tests;

public sealed class EndpointEvaluationTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly TestEndpoint _endpoint = new();

    public EndpointEvaluationTests()
    {
        // Responses are kept in the user's cache, which must not be this user's.
        Environment.SetEnvironmentVariable("XDG_CACHE_HOME", _folder["cache"]);
        _folder.Write("task.yaml", """
            name: Animals
            type: mul
            path: animals
            prompt:
              text: "{question}"
              choices: ["{a}", "{b}"]
              label: "{label}"
            """);
        _folder.Write("animals/test.jsonl", string.Concat(Enumerable.Range(0, 6).Select(i => $$"""{"question": "Number {{i}} barks", "a": "elephant", "b": "dog", "label": {{i % 3 / 2}}}""" + "\n")));
    }

    public void Dispose()
    {
        Environment.SetEnvironmentVariable("XDG_CACHE_HOME", null);
        _endpoint.Dispose();
        _folder.Dispose();
    }

    private CommandRun Eval(params string[] arguments) => CommandRun.Of(["eval", "--endpoint", _endpoint.Address, "--tasks", _folder["task.yaml"], "--data", _folder[""], .. arguments]);

    [Fact]
    public void A_model_behind_an_endpoint_is_evaluated_and_reported()
    {
        var result = Eval("--output", _folder["out"], "--quiet", "--json").Json();
        Assert.Equal(100.0 / 3, result.GetProperty("metrics").GetProperty("Accuracy").GetDouble(), 1e-9);
        Assert.Equal(6, result.GetProperty("items").GetInt32());
        Assert.Contains(_endpoint.Address, File.ReadAllText(_folder["out/run.json"]));
        string report = CommandRun.Of("report", _folder["out"]).Success();
        Assert.Contains("animals", report);
        Assert.Contains($"location: {_endpoint.Address}", report);
    }

    [Fact]
    public void What_was_answered_is_not_asked_again()
    {
        Eval("--quiet").Success();
        int asked = _endpoint.Requests.Count(request => request.Prompt.Contains("barks"));
        Assert.Equal(12, asked);
        string table = Eval("--quiet").Success();
        Assert.Equal(asked, _endpoint.Requests.Count(request => request.Prompt.Contains("barks")));
        Assert.Contains("33.33", table);
    }

    [Fact]
    public void The_estimate_comes_first_or_alone()
    {
        var run = Eval("--price-in", "1000", "--price-out", "2000", "--estimate");
        Assert.Equal("", run.Success());
        Assert.Contains("6 items, 12 requests", run.Error);
        Assert.Matches(@"at most about 0\.\d\d at the prices", run.Error);
        Assert.DoesNotContain(_endpoint.Requests, request => request.Prompt.Contains("barks"));
        Assert.Contains("12 requests", Eval().Error);
    }

    [Fact]
    public void A_refused_key_is_one_line()
    {
        _endpoint.Misbehave = async (request, stream) =>
        {
            await TestEndpoint.AnswerAsync(stream, "401 Unauthorized", """{"error":{"message":"Incorrect API key"}}""");
            return true;
        };
        Assert.Contains("Incorrect API key", Eval("--quiet").Reason());
    }

    [Theory]
    [InlineData("--model", "x")]
    [InlineData("--precision", "int8")]
    [InlineData("--rate", "-1")]
    [InlineData("--endpoint-api", "grpc")]
    public void What_does_not_go_together_is_wrong_usage(params string[] arguments) => Eval(arguments).Reason(CommandLine.WrongUsage);

    [Fact]
    public void Prices_without_an_endpoint_are_wrong_usage() =>
        Assert.Contains("--price-in", CommandRun.Of("eval", "--tasks", _folder["task.yaml"], "--data", _folder[""], "--price-in", "2").Reason(CommandLine.WrongUsage));

    [Fact]
    public void A_key_that_is_not_set_is_said_before_anything_is_sent()
    {
        Assert.Contains("GLM_TEST_UNSET_KEY", Eval("--api-key-env", "GLM_TEST_UNSET_KEY").Reason());
        Assert.Empty(_endpoint.Requests);
    }
}
