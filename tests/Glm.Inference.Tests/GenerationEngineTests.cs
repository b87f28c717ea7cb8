using Glm.Models;
using Glm.Tensors;

namespace Glm.Inference.Tests;

/// <summary>Requests that share a model: each gets what it would get alone.</summary>
public sealed class GenerationEngineTests : IDisposable
{
    private static readonly int[] NoEnd = [];

    private readonly Workers _workers = new(2);

    public void Dispose() => _workers.Dispose();

    [Theory]
    [InlineData("causal", 1, 7, 0)]
    [InlineData("causal", 4, 5, 0)]
    [InlineData("causal", 16, 64, 0)]
    [InlineData("causal", 3, 64, 4)]
    [InlineData("prefix", 1, 64, 0)]
    [InlineData("prefix", 4, 5, 0)]
    [InlineData("prefix", 16, 64, 0)]
    [InlineData("prefix", 2, 64, 5)]
    public async Task Batched_requests_give_what_each_gives_alone(string architecture, int batch, int piece, int drafts)
    {
        var model = Create(architecture);
        var contexts = Contexts(model, 20);
        int[][] expected = [.. contexts.Select((context, i) => Alone(model, context, 3 + i % 17))];
        await using var engine = new GenerationEngine(model, _workers, new BatchingOptions { MaxBatch = batch, PromptTokensPerStep = piece, DraftTokens = drafts });
        var results = await Task.WhenAll(contexts.Select((context, i) => engine.RunAsync(Greedy(context, 3 + i % 17))));
        for (int i = 0; i < contexts.Length; i++)
        {
            Assert.Equal(expected[i], results[i].Ids);
            Assert.Equal(FinishReason.Length, results[i].Finish);
            Assert.Equal(contexts[i].Ids.Length, results[i].ContextTokens);
        }
        var statistics = engine.Statistics;
        Assert.Equal(contexts.Length, statistics.Finished);
        Assert.Equal(expected.Sum(ids => ids.Length), statistics.NewTokens);
        if (drafts > 0) Assert.InRange(statistics.AcceptedTokens, 1, statistics.DraftedTokens);
    }

    /// <summary>Guesses of another model change nothing, whether it is the model itself, one like it, or one that knows nothing; nor does it matter how tokens are drawn.</summary>
    [Theory]
    [InlineData("causal", "itself", 0)]
    [InlineData("causal", "alike", 0)]
    [InlineData("causal", "alike", 0.7)]
    [InlineData("causal", "other", 1)]
    [InlineData("prefix", "itself", 1)]
    [InlineData("prefix", "other", 0)]
    public async Task A_draft_model_changes_no_result(string architecture, string draft, double temperature)
    {
        var model = Create(architecture);
        LanguageModel guesses = draft switch
        {
            "itself" => model,
            "alike" => Quantization.Quantize(model, 8, _workers),
            _ => architecture == "causal" ? CausalModelTests.Create(seed: 4) : TinyModel.Create(seed: 2, maxSequenceLength: 100),
        };
        GenerationRequest Request(DecodingContext context, int i) => Greedy(context, 3 + 5 * i) with
        {
            Sampling = new SamplingOptions { EndTokens = [7, 9], Seed = (ulong)i, Temperature = temperature, TopP = 0.9 },
            LogitBias = new Dictionary<int, float> { [i] = 3 },
        };
        var contexts = Contexts(model, 12);
        await using var plain = new GenerationEngine(model, _workers);
        var expected = await Task.WhenAll(contexts.Select((context, i) => plain.RunAsync(Request(context, i))));
        await using var engine = new GenerationEngine(model, _workers, new BatchingOptions { MaxBatch = 3, DraftTokens = 6, KvPages = 12, KeptSequences = 2 }, draft: guesses);
        var results = await Task.WhenAll(contexts.Select((context, i) => engine.RunAsync(Request(context, i))));
        for (int i = 0; i < contexts.Length; i++) Assert.Equal((expected[i].EndToken, expected[i].Finish), (results[i].EndToken, results[i].Finish));
        Assert.Equal(expected.Select(result => result.Ids), results.Select(result => result.Ids));
        var statistics = engine.Statistics;
        Assert.InRange(statistics.DraftedTokens, 1, int.MaxValue);
        if (draft == "itself") Assert.InRange(statistics.AcceptedTokens, 0.9 * statistics.DraftedTokens, statistics.DraftedTokens);
        if (draft == "alike") Assert.InRange(statistics.AcceptedTokens, 0.3 * statistics.DraftedTokens, statistics.DraftedTokens - 1);
    }

    [Fact]
    public void A_draft_model_reads_as_the_model_does() => Assert.Contains("draft model",
        Assert.Throws<GlmException>(() => new GenerationEngine(Create("causal"), _workers, draft: Create("prefix"))).Message);

    /// <summary>With far too few pages for all, some give way and begin again, and nothing changes.</summary>
    [Theory]
    [InlineData("causal")]
    [InlineData("prefix")]
    public async Task Requests_that_lose_their_memory_give_the_same(string architecture)
    {
        var model = Create(architecture);
        var contexts = Contexts(model, 12);
        int[][] expected = [.. contexts.Select(context => Alone(model, context, 100))];
        await using var engine = new GenerationEngine(model, _workers, new BatchingOptions { MaxBatch = 8, KvPages = 6 });
        var results = await Task.WhenAll(contexts.Select(context => engine.RunAsync(Greedy(context, 100))));
        Assert.Equal(expected, results.Select(result => result.Ids));
        Assert.InRange(engine.Statistics.Preempted, 1, 1000);
        Assert.InRange(engine.Statistics.UsedPages, 1, 6);
    }

    [Fact]
    public async Task Draws_depend_on_the_seed_alone()
    {
        var model = Create("causal");
        var context = Contexts(model, 1)[0];
        await using var engine = new GenerationEngine(model, _workers, new BatchingOptions { KeptSequences = 0 });
        GenerationRequest Drawn(int i) => Greedy(context, 12) with { Sampling = new SamplingOptions { EndTokens = NoEnd, Seed = (ulong)i % 3, Temperature = 0.9, TopP = 0.95 } };
        var together = await Task.WhenAll(Enumerable.Range(0, 9).Select(i => engine.RunAsync(Drawn(i))));
        for (int i = 0; i < 9; i++) Assert.Equal((await engine.RunAsync(Drawn(i))).Ids, together[i].Ids);
        Assert.NotEqual(together[0].Ids, together[1].Ids);
    }

    [Fact]
    public async Task A_beginning_that_causal_requests_share_is_computed_once()
    {
        var model = Create("causal");
        int[] system = [.. Enumerable.Range(0, 300).Select(i => 7 * i % 400)];
        var contexts = Enumerable.Range(0, 8).Select(i => Causal([.. system, 10 + i, 20 + i, 30 + i])).ToArray();
        int[][] expected = [.. contexts.Select(context => Alone(model, context, 6))];
        await using var engine = new GenerationEngine(model, _workers, new BatchingOptions { PromptTokensPerStep = 50 });
        var results = await Task.WhenAll(contexts.Select(context => engine.RunAsync(Greedy(context, 6))));
        Assert.Equal(expected, results.Select(result => result.Ids));
        Assert.Equal(303 + 7 * 3, engine.Statistics.ContextTokens);
        // Long afterwards too, and what was generated is a beginning as well.
        var next = Causal([.. contexts[3].Ids, .. results[3].Ids, 5]);
        var later = await engine.RunAsync(Greedy(next, 4));
        Assert.Equal(Alone(model, next, 4), later.Ids);
        Assert.Equal(303 + 5, later.SharedTokens);
    }

    [Fact]
    public async Task A_bidirectional_context_is_shared_as_a_whole_alone()
    {
        var model = Create("prefix");
        var context = Contexts(model, 1)[0];
        await using var engine = new GenerationEngine(model, _workers);
        await engine.RunAsync(Greedy(context, 5));
        Assert.Equal(context.Place.Division, (await engine.RunAsync(Greedy(context, 9))).SharedTokens);
        var longer = new DecodingContext([.. context.Ids[..context.Place.Division], 9, 8], context.Place with { Division = context.Place.Division + 1 });
        var result = await engine.RunAsync(Greedy(longer, 9));
        Assert.Equal(0, result.SharedTokens);
        Assert.Equal(Alone(model, longer, 9), result.Ids);
    }

    /// <summary>A long context is read in pieces, between which others go on.</summary>
    [Fact]
    public async Task A_long_context_does_not_hold_up_a_short_one()
    {
        var model = Create("causal");
        var order = new List<string>();
        await using var engine = new GenerationEngine(model, _workers, new BatchingOptions { PromptTokensPerStep = 32 });
        var first = engine.RunAsync(Greedy(Causal([.. Enumerable.Range(0, 1200).Select(i => 7 * i % 400)]), 1) with { OnToken = _ => Say("long") });
        var second = engine.RunAsync(Greedy(Causal([1, 2, 3]), 5) with { OnToken = _ => Say("short") });
        await Task.WhenAll(first, second);
        Assert.Equal(["short", "short", "short", "short", "short", "long"], order);

        bool Say(string word)
        {
            order.Add(word); // on the engine's thread alone
            return true;
        }
    }

    [Fact]
    public async Task Cancelled_and_overdue_requests_leave_and_give_their_memory_back()
    {
        var model = Create("causal");
        await using var engine = new GenerationEngine(model, _workers, new BatchingOptions { MaxBatch = 2, KeptSequences = 0 });
        using var gone = new CancellationTokenSource();
        var running = engine.RunAsync(Greedy(Causal([1, 2, 3]), 1000) with { OnToken = Leave }, gone.Token);
        var waiting = engine.RunAsync(Greedy(Causal([4, 5]), 1000) with { Timeout = TimeSpan.Zero });
        var other = await engine.RunAsync(Greedy(Causal([6, 7]), 20));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
        Assert.Equal(FinishReason.Timeout, (await waiting).Finish);
        Assert.Equal(Alone(model, Causal([6, 7]), 20), other.Ids);
        Assert.Equal(0, await engine.InvokeAsync(session => session.Cache.UsedPages));

        bool Leave(GeneratedToken token)
        {
            gone.Cancel();
            return true;
        }
    }

    [Fact]
    public async Task A_caller_that_has_enough_or_throws_ends_its_own_request_alone()
    {
        var model = Create("causal");
        await using var engine = new GenerationEngine(model, _workers);
        int seen = 0;
        var enough = engine.RunAsync(Greedy(Causal([1, 2, 3]), 100) with { OnToken = _ => ++seen < 3 });
        var broken = engine.RunAsync(Greedy(Causal([4, 2, 3]), 100) with { OnToken = _ => throw new InvalidOperationException("mine") });
        var other = await engine.RunAsync(Greedy(Causal([6, 7]), 20));
        Assert.Equal(FinishReason.Stop, (await enough).Finish);
        Assert.Equal(3, (await enough).Ids.Length);
        Assert.Equal("mine", (await Assert.ThrowsAsync<InvalidOperationException>(() => broken)).Message);
        Assert.Equal(Alone(model, Causal([6, 7]), 20), other.Ids);
    }

    [Fact]
    public async Task What_does_not_fit_the_queue_is_refused_and_closing_drains()
    {
        var model = Create("causal");
        await using var engine = new GenerationEngine(model, _workers, new BatchingOptions { MaxBatch = 1, MaxQueue = 2 });
        using var hold = new ManualResetEventSlim();
        using var begun = new ManualResetEventSlim();
        var first = engine.RunAsync(Greedy(Causal([1]), 1) with { OnToken = Wait });
        begun.Wait();
        Task<GenerationResult>[] queued = [engine.RunAsync(Greedy(Causal([2]), 2)), engine.RunAsync(Greedy(Causal([3]), 2))];
        Assert.InRange((await Assert.ThrowsAsync<QueueFullException>(() => engine.RunAsync(Greedy(Causal([4]), 2)))).RetryAfter.TotalSeconds, 1, 60);
        var drained = engine.DrainAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => engine.RunAsync(Greedy(Causal([4]), 2)));
        hold.Set();
        await drained;
        Assert.All([first, .. queued], task => Assert.True(task.IsCompletedSuccessfully));
        Assert.Equal(1, engine.Statistics.Refused);

        bool Wait(GeneratedToken token)
        {
            begun.Set();
            hold.Wait();
            return true;
        }
    }

    [Fact]
    public async Task Disposing_gives_up_what_is_under_way()
    {
        var model = Create("causal");
        var engine = new GenerationEngine(model, _workers, new BatchingOptions { MaxBatch = 1 });
        Task<GenerationResult>[] tasks = [.. Enumerable.Range(1, 5).Select(i => engine.RunAsync(Greedy(Causal([i]), 1400)))];
        await engine.DisposeAsync();
        foreach (var task in tasks) await Assert.ThrowsAsync<ObjectDisposedException>(() => task);
    }

    [Fact]
    public async Task Probabilities_are_those_of_the_model()
    {
        var model = Create("causal");
        var context = Causal([.. Enumerable.Range(0, 90).Select(i => 31 * i % 400)]);
        await using var engine = new GenerationEngine(model, _workers, new BatchingOptions { PromptTokensPerStep = 40 });
        var told = new List<GeneratedToken>();
        var request = Greedy(context, 4) with { TopLogprobs = 3, ContextLogprobs = true, OnToken = token => { told.Add(token); return true; } };
        var result = await engine.RunAsync(request);
        int[] ids = [.. context.Ids, .. result.Ids];
        Assert.Equal(ids, told.Select(token => token.Id));
        Assert.Equal(context.Ids.Length, told.Count(token => token.IsContext));
        var session = new Session(model, _workers);
        float[] logits = session.Run([new SessionInput(session.Cache.Add(), ids, Enumerable.Range(0, ids.Length).ToArray(), 0)], allTokens: true).ToArray();
        Assert.True(float.IsNaN(told[0].LogProbability));
        for (int i = 1; i < ids.Length; i++)
        {
            var row = logits.AsSpan((i - 1) * model.VocabSize, model.VocabSize);
            double sum = LogitMath.LogSumExp(row);
            Assert.Equal(row[ids[i]] - sum, told[i].LogProbability, 1e-4);
            Assert.Equal(3, told[i].Top.Count);
            Assert.Equal(LogitMath.Max(row) - sum, told[i].Top[0].LogProbability, 1e-4);
        }
    }

    [Fact]
    public async Task Biases_and_end_tokens_steer()
    {
        var model = Create("causal");
        var context = Causal([5, 6, 7]);
        int[] free = Alone(model, context, 6);
        await using var engine = new GenerationEngine(model, _workers);
        var ended = await engine.RunAsync(Greedy(context, 6) with { Sampling = new SamplingOptions { Temperature = 0, EndTokens = [free[2]] } });
        int length = Array.IndexOf(free, free[2]);
        Assert.Equal((free[2], FinishReason.Stop), (ended.EndToken, ended.Finish));
        Assert.Equal(free[..length], ended.Ids);
        var forced = await engine.RunAsync(Greedy(context, 3) with { LogitBias = new Dictionary<int, float> { [77] = 100, [free[0]] = -100 } });
        Assert.Equal([77, 77, 77], forced.Ids);
    }

    [Theory]
    [InlineData("prompt", 0)]
    [InlineData("prompt", 1500)]
    [InlineData("max_tokens", 3)]
    public async Task Impossible_requests_are_refused(string field, int length)
    {
        await using var engine = new GenerationEngine(Create("causal"), _workers);
        var request = Greedy(Causal(new int[length]), field == "max_tokens" ? 0 : 1);
        Assert.Contains(field, (await Assert.ThrowsAsync<GlmException>(() => engine.RunAsync(request))).Message);
        await Assert.ThrowsAsync<GlmException>(() => engine.RunAsync(Greedy(Causal([400]), 1)));
        await Assert.ThrowsAsync<GlmException>(() => engine.RunAsync(Greedy(Causal([1]), 1) with { LogitBias = new Dictionary<int, float> { [400] = 1 } }));
    }

    /// <summary>Clients take turns, by the tokens that they ask for; priorities come first.</summary>
    [Fact]
    public void The_queue_is_fair()
    {
        var model = Create("causal");
        var queue = new FairQueue();
        var names = new Dictionary<BatchEntry, string>();
        void Add(string client, int cost, int priority = 0)
        {
            var entry = new BatchEntry(Greedy(Causal([1]), 1) with { Client = client, Priority = priority }, model, 1, () => { }, default);
            names.Add(entry, client);
            queue.Add(entry, cost);
        }
        for (int i = 0; i < 4; i++) Add("greedy", 100);
        Add("modest", 10);
        Add("modest", 10);
        Add("important", 1000, priority: 1);
        var order = new List<string>();
        while (queue.Count > 0)
        {
            var next = queue.InOrder.First();
            order.Add(names[next]);
            queue.Remove(next);
        }
        Assert.Equal(["important", "greedy", "modest", "modest", "greedy", "greedy", "greedy"], order);
    }

    internal static LanguageModel Create(string architecture) => architecture == "causal" ? CausalModelTests.Create() : TinyModel.Create(maxSequenceLength: 256);

    private static DecodingContext Causal(int[] ids) => new(ids, new BlankPlace(0, 0, RunsOn: true));

    private static DecodingContext[] Contexts(LanguageModel model, int count) => [.. Enumerable.Range(0, count).Select(i =>
    {
        int length = 3 + 13 * i % 90;
        int[] ids = [.. Enumerable.Range(0, length).Select(j => (31 * i + 17 * j + j * j % 7) % 400)];
        return model.IsCausal ? Causal(ids) : new DecodingContext(ids, new BlankPlace(length - 1, i % (length - 1), RunsOn: i % 2 == 0));
    })];

    private static GenerationRequest Greedy(DecodingContext context, int tokens) =>
        new() { Context = context, MaxNewTokens = tokens, Sampling = new SamplingOptions { Temperature = 0, EndTokens = NoEnd } };

    private int[] Alone(LanguageModel model, DecodingContext context, int tokens)
    {
        var strategy = new SamplingStrategy(new SamplingOptions { Temperature = 0, EndTokens = NoEnd });
        return Decoding.Run(new Session(model, _workers), strategy, context, tokens).Candidates[0].Ids[context.Ids.Length..];
    }
}
