using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Text;
using System.Text.Json.Nodes;
using Glm.Inference;
using Glm.Tensors;
using Glm.Tokenizers;

namespace Glm.Library.Tests;

public sealed class GlmModelTests(TinyChat chat, ShippedModel shipped) : IClassFixture<TinyChat>, IClassFixture<ShippedModel>
{
    private static readonly TextOptions Greedy = new() { Temperature = 0, MaxTokens = 20 };

    [Fact]
    public async Task A_continuation_is_that_of_the_continuer()
    {
        var session = new Session(chat.Model.Model, new Workers(2), cacheType: DType.BFloat16);
        var expected = new TextContinuer(session, chat.Model.Tokenizer).Continue("Hello", new FillOptions { Strategy = StrategyKind.Greedy, MaxNewTokens = 20 });
        var result = await chat.Model.Complete("Hello", Greedy).Result;
        Assert.Equal(expected.Beams[0].BlankTexts![0], result.Text);
        Assert.Equal(expected.Beams[0].Blanks[0], result.Ids);
    }

    [Fact]
    public async Task Pieces_are_the_text_and_tokens_its_bytes()
    {
        var options = Greedy with { TopLogprobs = 2, PromptLogprobs = true, MaxTokens = 40 };
        await using var stream = chat.Model.Complete("Hello 猫", options);
        var text = new StringBuilder();
        var tokens = new List<TextToken>();
        await foreach (var piece in stream)
        {
            text.Append(piece.Text);
            tokens.AddRange(piece.Tokens);
        }
        var result = await stream.Result;
        Assert.Equal(result.Text, text.ToString());
        Assert.Equal(result.Tokens, tokens);
        Assert.Equal("Hello 猫", Encoding.UTF8.GetString([.. tokens.Where(token => token.IsPrompt).SelectMany(token => token.Bytes)]).TrimStart());
        Assert.Equal(result.Ids, tokens.Where(token => !token.IsPrompt).Select(token => token.Id));
        Assert.All(tokens.Where(token => !token.IsPrompt), token => Assert.Equal(token.LogProbability, token.Top[0].LogProbability));
    }

    [Fact]
    public async Task A_stop_string_ends_a_text()
    {
        string whole = (await shipped.Model.Complete("The capital of France is", Greedy).Result).Text;
        string stop = whole[3..6];
        var result = await shipped.Model.Complete("The capital of France is", Greedy with { Stop = ["never there", stop] }).Result;
        Assert.Equal(whole[..whole.IndexOf(stop, StringComparison.Ordinal)], result.Text);
        Assert.Equal(FinishReason.Stop, result.Finish);
    }

    [Fact]
    public async Task A_draft_model_has_the_same_vocabulary()
    {
        Assert.Contains("vocabulary of the model", Assert.Throws<GlmException>(() => GlmModel.Load(load: new LoadOptions { Threads = 1, Draft = chat.File })).Message);
        await using var model = GlmModel.Load(chat.File, new LoadOptions { Threads = 1, Draft = chat.File });
        Assert.Equal((await chat.Model.Complete("Hello", Greedy).Result).Ids, (await model.Complete("Hello", Greedy).Result).Ids);
        Assert.InRange(model.Engine.Statistics.AcceptedTokens, 10, 20);
    }

    [Fact]
    public async Task Leaving_a_stream_cancels_it()
    {
        long before = chat.Model.Engine.Statistics.Cancelled;
        await foreach (var piece in chat.Model.Complete("Hello", Greedy with { MaxTokens = 1500 })) break;
        Assert.Equal(before + 1, chat.Model.Engine.Statistics.Cancelled);
    }

    [Fact]
    public async Task A_chat_is_that_of_a_conversation()
    {
        var template = chat.Model.Template!;
        var conversation = new ChatConversation(new Session(chat.Model.Model, new Workers(2), cacheType: DType.BFloat16), template);
        var reply = conversation.Answer(new ChatMessage(ChatRole.User, "Who?"), new FillOptions { Strategy = StrategyKind.Greedy, MaxNewTokens = 20 });
        var result = await chat.Model.Chat([new ChatMessage(ChatRole.User, "Who?")], Greedy).Result;
        Assert.Equal(string.Concat(reply.Messages.Select(message => message.Content)), result.Messages[0].Content);
        Assert.Contains("made for chats", Assert.Throws<GlmException>(() => { shipped.Model.Chat([new ChatMessage(ChatRole.User, "Who?")]); }).Message);
    }

    [Fact]
    public async Task Blanks_are_those_of_the_filler_and_alternatives_have_probabilities()
    {
        const string text = "The [MASK] of France is [MASK], and Berlin is in [MASK].";
        var session = new Session(shipped.Model.Model, new Workers(2), cacheType: DType.BFloat16);
        var expected = new BlankFiller(session, shipped.Model.Tokenizer).Fill(text, new FillOptions { Strategy = StrategyKind.Greedy, MaxNewTokens = 12 });
        var filled = await shipped.Model.FillAsync(text, Greedy with { MaxTokens = 12 }, alternatives: 4);
        Assert.Equal(expected.Beams[0].Text, filled.Text);
        Assert.Equal(expected.Beams[0].BlankTexts, filled.Blanks.Select(blank => blank.Text));
        foreach (var blank in filled.Blanks)
        {
            Assert.Equal(4, blank.Alternatives.Count);
            Assert.Equal(blank.Alternatives.OrderByDescending(other => other.Probability ?? 0), blank.Alternatives);
            // The greedy fill is the continuation of the most probable first token.
            Assert.Contains(blank.Alternatives, other => other.Text == blank.Text && (blank.Probability is null || Math.Abs(other.Probability!.Value - blank.Probability.Value) < 1e-4));
        }
        await Assert.ThrowsAsync<GlmException>(() => chat.Model.FillAsync(text));
        await Assert.ThrowsAsync<GlmException>(() => shipped.Model.FillAsync("[nMASK]"));
    }

    [Fact]
    public async Task Embeddings_have_length_one_and_similar_texts_are_near()
    {
        var (vectors, tokens) = await shipped.Model.EmbedAsync(["The cat sat on the mat.", "A cat is sitting on a mat.", "国家统计局公布了数据。"]);
        Assert.All(vectors, vector => Assert.Equal(1, vector.Sum(x => x * x), 1e-4));
        Assert.True(tokens > 10);
        double Cosine(int a, int b) => vectors[a].Zip(vectors[b]).Sum(pair => (double)pair.First * pair.Second);
        Assert.True(Cosine(0, 1) > Cosine(0, 2), $"{Cosine(0, 1)} and {Cosine(0, 2)}");
        await Assert.ThrowsAsync<GlmException>(() => chat.Model.EmbedAsync(["text"]));
        await Assert.ThrowsAsync<GlmException>(() => shipped.Model.EmbedAsync([""]));
    }

    [Fact]
    public async Task A_schema_is_kept_in_a_chat()
    {
        var options = new TextOptions { Seed = 3, Constraint = TextConstraint.JsonSchema("""{"type":"object","properties":{"city":{"enum":["Paris","北京"]},"n":{"type":"integer"}},"required":["city","n"]}""") };
        var result = await chat.Model.Chat([new ChatMessage(ChatRole.User, "Where?")], options).Result;
        var value = JsonNode.Parse(result.Text)!;
        Assert.Contains(value["city"]!.GetValue<string>(), new[] { "Paris", "北京" });
        value["n"]!.GetValue<long>();
    }

    [Fact]
    public async Task What_it_does_can_be_observed()
    {
        var seen = new List<string>();
        using var listener = new MeterListener { InstrumentPublished = (instrument, self) => { if (instrument.Meter.Name == "Glm") self.EnableMeasurementEvents(instrument); } };
        listener.SetMeasurementEventCallback<double>((instrument, value, _, _) => { lock (seen) seen.Add(instrument.Name); });
        listener.SetMeasurementEventCallback<long>((instrument, value, _, _) => { lock (seen) seen.Add(instrument.Name); });
        listener.Start();
        var activities = new List<Activity>();
        using var tracing = new ActivityListener { ShouldListenTo = source => source.Name == "Glm", Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData, ActivityStopped = activity => { lock (activities) activities.Add(activity); } };
        ActivitySource.AddActivityListener(tracing);
        await chat.Model.Complete("Hello", Greedy).Result;
        listener.RecordObservableInstruments();
        lock (seen) Assert.Empty(new[] { "gen_ai.client.token.usage", "gen_ai.server.request.duration", "gen_ai.server.time_to_first_token", "glm.queue.duration", "glm.kv.pages.used", "glm.tokens.new" }.Except(seen));
        lock (activities) Assert.Contains(activities, activity => activity.DisplayName == "text_completion tiny" && activity.GetTagItem("gen_ai.usage.output_tokens") is 20);
    }

    [Fact]
    public async Task Stopping_finishes_what_was_begun()
    {
        var model = GlmModel.Load(chat.File, new LoadOptions { Threads = 2 });
        var running = model.Complete("Hello", Greedy with { MaxTokens = 100 });
        await model.StopAsync(TimeSpan.FromSeconds(60));
        Assert.Equal(100, (await running.Result).Ids.Length);
        Assert.Throws<ObjectDisposedException>(() => { model.Complete("Hello"); });
    }
}
