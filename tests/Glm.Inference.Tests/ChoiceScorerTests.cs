using Glm.Models;
using Glm.Tensors;

namespace Glm.Inference.Tests;

/// <summary>Scores of choices against logits of whole sequences, one choice at a time.</summary>
public sealed class ChoiceScorerTests : IDisposable
{
    private const int Vocabulary = 400;

    private static readonly ChatGlm2Config Causal = new()
    {
        NumLayers = 2, HiddenSize = 32, FfnHiddenSize = 48, KvChannels = 8, NumAttentionHeads = 4, MultiQueryAttention = true, MultiQueryGroupNum = 2,
        PaddedVocabSize = Vocabulary, SeqLength = 6000, AddQkvBias = true,
    };

    private readonly Workers _workers = new(2);

    public void Dispose() => _workers.Dispose();

    [Fact]
    public void Choices_of_a_prefix_model_see_the_context_and_themselves()
    {
        var model = TinyModel.Create();
        var special = TinyModel.Tokenizer.Blanks;
        ContextChoices[] items =
        [
            Blank(20, at: 19, runsOn: true, 1, 3, 5), Blank(13, at: 4, runsOn: false, 2, 2), Blank(1, at: 0, runsOn: true, 6, 1, 1, 1), Blank(30, at: 29, runsOn: false, 1, 1, 1),
        ];
        double[][] scores = new ChoiceScorer(model, _workers).Score(items);
        foreach (var (item, found) in items.Zip(scores))
            foreach (var (choice, score) in item.Choices.Zip(found))
                Assert.Equal(Score(model, [.. item.Context, special.Sop, .. choice], item.Place, item.Context.Length + 1), score, 1e-4);

        ContextChoices Blank(int length, int at, bool runsOn, params int[] lengths) =>
            new(Ids(length, length), new BlankPlace(length, at, runsOn), special.Sop, [.. lengths.Select((count, i) => Ids(count, 7 * i + count))]);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(70)]
    [InlineData(2100)]
    public void Choices_of_a_causal_model_continue_the_context_whatever_is_shared(int shared)
    {
        var model = CausalModel();
        int[] beginning = Ids(shared, 3);
        ContextChoices[] items = [.. Enumerable.Range(0, 9).Select(i => Item([.. beginning, .. Ids(i * 60, 100 + i)], 1 + (i % 2), 1, 1 + (i % 3)))];
        double[][] scores = new ChoiceScorer(model, _workers).Score(items, shared);
        foreach (var (item, found) in items.Zip(scores))
            foreach (var (choice, score) in item.Choices.Zip(found))
                Assert.Equal(Score(model, [.. item.Context, item.Lead!.Value, .. choice], default, item.Context.Length + 1), score, 2e-4);

        ContextChoices Item(int[] context, params int[] lengths) => new(context, default, 5, [.. lengths.Select((count, i) => Ids(count, 11 * i + count))]);
    }

    [Fact]
    public void A_shared_beginning_is_computed_once()
    {
        ContextChoices[] items = [.. Enumerable.Range(0, 5).Select(i => new ContextChoices([.. Ids(200, 3), .. Ids(10, i)], default, 5, [[1], [2]]))];
        var (alone, together) = (new ChoiceScorer(CausalModel(), _workers), new ChoiceScorer(CausalModel(), _workers));
        alone.Score(items);
        together.Score(items, 200);
        Assert.Equal(4 * 200, alone.Tokens - together.Tokens);
    }

    /// <summary>Keys and values of a context that sees all of itself depend on all of it: sharing its beginning would give other numbers.</summary>
    [Fact]
    public void A_prefix_model_refuses_to_share_a_beginning()
    {
        var model = TinyModel.Create();
        ContextChoices[] items = [.. Enumerable.Range(0, 2).Select(i => new ContextChoices([.. Ids(20, 3), 9 + i], new BlankPlace(21, 20, true), TinyModel.Tokenizer.Blanks.Sop, [[1, 2], [2, 3]]))];
        Assert.Contains("causal", Assert.Throws<GlmException>(() => new ChoiceScorer(model, _workers).Score(items, 20)).Message);
    }

    [Fact]
    public void Where_nothing_stands_before_a_text_its_first_token_is_any()
    {
        int[] text = Ids(6, 4);
        double[] scores = new ChoiceScorer(CausalModel(), _workers).Score([new ContextChoices([], default, null, [text, [3]])])[0];
        Assert.Equal(Score(CausalModel(), text, default, 1) - Math.Log(Vocabulary), scores[0], 1e-4);
        Assert.Equal(-Math.Log(Vocabulary), scores[1], 1e-9);
    }

    [Fact]
    public void Nothing_of_the_cache_is_kept()
    {
        var scorer = new ChoiceScorer(CausalModel(), _workers);
        ContextChoices[] items = [new(Ids(100, 1), default, 5, [[1], [2, 3]]), new(Ids(100, 1), default, 5, [[1], [2, 3]])];
        double[][] first = scorer.Score(items, 80), second = scorer.Score(items);
        Assert.Equal(first[0][1], first[1][1]);
        Assert.Equal(first[0][1], second[0][1], 1e-4);
    }

    /// <summary>Sum of the log-probabilities of the tokens from <paramref name="from"/> on, from one pass over the sequence.</summary>
    private double Score(LanguageModel model, int[] ids, BlankPlace place, int from)
    {
        var session = new Session(model, _workers);
        (int Token, int Block)[] positions = [.. Enumerable.Range(0, ids.Length).Select(i => model.PositionOf(i, place))];
        var logits = session.Run([new SessionInput(session.Cache.Add(), ids, positions.Select(position => position.Token).ToArray(), place.Division)], allTokens: true);
        double sum = 0;
        for (int i = from; i < ids.Length; i++)
        {
            var row = logits.Slice((i - 1) * model.VocabSize, model.VocabSize);
            sum += row[ids[i]] - LogitMath.LogSumExp(row);
        }
        return sum;
    }

    private static int[] Ids(int count, int seed) => [.. Enumerable.Range(0, count).Select(i => (((i + 1) * (seed + 7) * 31) + i) % 390)];

    private static ChatGlm2 CausalModel()
    {
        var weights = new Dictionary<string, Tensor>();
        foreach (var (name, shape) in Causal.Parameters())
            TensorMath.FillNormal(weights[name] = Tensor.Allocate(DType.Float32, shape), shape.Length == 1 ? 1 : 0.2, seed: 3, stream: (ulong)weights.Count);
        return (ChatGlm2)Causal.Create(name => weights[name]);
    }
}
