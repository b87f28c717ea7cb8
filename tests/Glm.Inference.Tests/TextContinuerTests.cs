using Glm.Models;
using Glm.Tensors;
using Glm.Tokenizers;

namespace Glm.Inference.Tests;

/// <summary>Causal models of every kind continue texts and score them as plain loops over whole sequences do.</summary>
public sealed class TextContinuerTests : IDisposable
{
    private static readonly FillOptions Greedy = new() { Strategy = StrategyKind.Greedy, MaxNewTokens = 12 };

    private readonly Workers _workers = new(2);
    private readonly Session _session;
    private readonly TextContinuer _continuer;

    public TextContinuerTests()
    {
        _session = new Session(CausalModelTests.Create(), _workers);
        _continuer = new TextContinuer(_session, TinyModel.Tokenizer);
    }

    public void Dispose() => _workers.Dispose();

    [Theory]
    [InlineData("chatglm2", "The 3th cat sat on")]
    [InlineData("opt", "The 3th cat sat on")]
    [InlineData("bloom", "The 3th cat sat on")]
    [InlineData("bloom", "猫坐")]
    public void Greedy_takes_the_most_probable_token_of_the_whole_sequence_every_time(string architecture, string text)
    {
        var session = architecture == "chatglm2" ? _session : new Session(Create(architecture), _workers);
        int[] written = TinyModel.Tokenizer.Encode(text);
        List<int> ids = [.. TinyModel.Tokenizer.EncodeInput(text)], expected = [];
        while (expected.Count < Greedy.MaxNewTokens)
        {
            int token = LogitMath.ArgMax(LastLogits(session, [.. ids]));
            if (TinyModel.Tokenizer.Special.End.Contains(token)) break;
            ids.Add(token);
            expected.Add(token);
        }
        var filled = new TextContinuer(session, TinyModel.Tokenizer).Continue(text, Greedy);
        Assert.Equal(expected, filled.Beams[0].Blanks.Single());
        Assert.Equal([.. written, .. expected], filled.Beams[0].Ids);
        Assert.Equal(BlankText.Decode(TinyModel.Tokenizer, filled.Beams[0].Ids), filled.Beams[0].Text);
        Assert.Equal(0, session.Cache.UsedPages);
    }

    [Fact]
    public void Beams_have_the_sum_of_their_log_probabilities()
    {
        var options = new FillOptions { Strategy = StrategyKind.Beam, NumBeams = 4, LengthPenalty = 0, NoRepeatNgram = 0, MaxNewTokens = 2 };
        var beams = _continuer.Continue("The cat", options).Beams;
        Assert.Equal(beams.Select(beam => beam.Score).OrderDescending(), beams.Select(beam => beam.Score));
        int[] context = TinyModel.Tokenizer.EncodeInput("The cat");
        foreach (var beam in beams.Where(beam => beam.Blanks[0].Length == 2)) // one that ended has the score of its end as well
            Assert.Equal(LogProbability(context, beam.Blanks[0][0]) + LogProbability([.. context, beam.Blanks[0][0]], beam.Blanks[0][1]), beam.Score, 1e-3);
        Assert.Contains(beams, beam => beam.Blanks[0].Length == 2);
    }

    [Theory]
    [InlineData(StrategyKind.Greedy)]
    [InlineData(StrategyKind.Sample)]
    [InlineData(StrategyKind.Beam)]
    public void The_pieces_are_the_continuation(StrategyKind strategy)
    {
        var pieces = new List<BlankPiece>();
        var options = new FillOptions { Strategy = strategy, MaxNewTokens = 15, Seed = 3 };
        var beam = _continuer.Continue("The 3th cat sat", options, pieces.Add).Beams[0];
        Assert.Equal(beam.BlankTexts!.Single(), string.Concat(pieces.Select(piece => piece.Text)));
        Assert.Equal("The 3th cat sat" + beam.BlankTexts![0], beam.Text);
        Assert.Equal(beam.Text, _continuer.Continue("The 3th cat sat", options).Beams[0].Text);
    }

    [Fact]
    public void A_stop_text_ends_the_continuation()
    {
        string whole = _continuer.Continue("The cat", Greedy).Beams[0].BlankTexts![0], stop = whole[2..3];
        var beam = _continuer.Continue("The cat", Greedy with { Stop = [stop] }).Beams[0];
        Assert.Equal(whole[..whole.IndexOf(stop, StringComparison.Ordinal)], beam.BlankTexts![0]);
    }

    [Theory]
    [InlineData("The [MASK] sat.", "causal")]
    [InlineData("The [gMASK]", "[gMASK]")]
    [InlineData("  ", "some text")]
    public void Blanks_and_empty_texts_are_refused(string text, string reason) => Assert.Contains(reason, Assert.Throws<GlmException>(() => _continuer.Continue(text, Greedy)).Message);

    [Fact]
    public void A_text_without_room_after_it_is_refused()
    {
        string text = string.Concat(Enumerable.Repeat("猫坐在垫子上 ", 5000));
        Assert.Contains("leave room", Assert.Throws<GlmException>(() => _continuer.Continue(text, Greedy)).Message);
    }

    /// <summary>What the originals put before a text: [gMASK] and sop, one token, or nothing.</summary>
    [Theory]
    [InlineData(2)]
    [InlineData(1)]
    [InlineData(0)]
    public void Scores_are_the_log_softmax_after_what_begins_the_text(int before)
    {
        int[] start = [.. new[] { 391, 393 }.Take(before)], ids = [.. Enumerable.Range(0, 50).Select(i => (i * i + 3) % 390)];
        var special = new SpecialTokens { Names = new Dictionary<string, int>(), End = [2], Before = start };
        float[] scores = new Scorer(_session.Model, _workers, special, new ScoringOptions { MaxSequenceLength = 20, Stride = 7 }).Score(ids);
        int covered = 20 + 1 - before;
        for (int i = 0, first = 0; i < ids.Length; i++)
        {
            if (i >= first + covered) first += 7;
            int[] context = [.. start, .. ids[first..i]];
            Assert.Equal(context.Length == 0 ? -Math.Log(_session.Model.VocabSize) : LogProbability(context, ids[i]), scores[i], 1e-4);
        }
    }

    private static LanguageModel Create(string architecture)
    {
        ModelConfig config = architecture == "opt"
            ? new OptConfig { NumHiddenLayers = 2, HiddenSize = 32, FfnDim = 48, NumAttentionHeads = 4, VocabSize = 400, MaxPositionEmbeddings = 64, WordEmbedProjDim = 32 }
            : new BloomConfig { NLayer = 2, HiddenSize = 32, NHead = 4, VocabSize = 400 };
        var weights = new Dictionary<string, Tensor>();
        foreach (var (name, shape) in config.Parameters())
            TensorMath.FillNormal(weights[name] = Tensor.Allocate(DType.Float32, shape), shape.Length == 1 ? 1 : 0.2, seed: 3, stream: (ulong)weights.Count);
        return config.Create(name => weights[name]);
    }

    private double LogProbability(int[] context, int token)
    {
        float[] logits = LastLogits(_session, context);
        return logits[token] - LogitMath.LogSumExp(logits);
    }

    private static float[] LastLogits(Session session, int[] ids)
    {
        var sequence = session.Cache.Add();
        float[] logits = session.Run([new SessionInput(sequence, ids, Enumerable.Range(0, ids.Length).ToArray(), Division: 0)]).ToArray();
        sequence.Release();
        return logits;
    }
}
