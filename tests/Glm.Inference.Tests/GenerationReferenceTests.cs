using Glm.Tensors;

namespace Glm.Inference.Tests;

/// <summary>Blank filling against the original code: ids exactly, scores to 1e-3.</summary>
public sealed class GenerationReferenceTests : IDisposable
{
    private readonly Workers _workers = new(2);

    public static TheoryData<int, string> Cases => GenerationReference.Cases();

    public void Dispose() => _workers.Dispose();

    [Theory]
    [MemberData(nameof(Cases))]
    public void FillsAsTheOriginal(int index, string strategy)
    {
        var test = GenerationReference.Root.GetProperty("cases")[index];
        var expected = test.GetProperty("results").GetProperty(strategy);
        var session = GenerationReference.Session(_workers);
        var filler = new BlankFiller(session, GenerationReference.Special);

        var filled = filler.Fill(test.GetProperty("prompt_ids").Ints(), GenerationReference.Options(strategy));

        var blanks = expected.GetProperty("blanks").EnumerateArray().ToArray();
        Assert.Equal(blanks.Length, filled.Fills.Count);
        foreach (var (blank, fill) in blanks.Zip(filled.Fills))
        {
            Assert.Equal(blank.GetProperty("input_ids").Ints(), fill.Context.Ids);
            Assert.Equal(blank.GetProperty("mask_position").GetInt32(), fill.MaskPosition);
            Assert.Equal(blank.GetProperty("max_gen_length").GetInt32(), fill.MaxNewTokens);
            Assert.Equal(blank.GetProperty("gmask").GetBoolean(), fill.Context.Place.RunsOn);
            Assert.Equal(blank.GetProperty("output_beams").IntLists(), fill.Decoding.Candidates.Select(candidate => candidate.Ids));
            if (!blank.TryGetProperty("penalized_scores", out var scores)) continue;
            foreach (var (score, candidate) in scores.EnumerateArray().Zip(fill.Decoding.Candidates))
                Assert.Equal(score.GetDouble(), candidate.Score, 1e-3);
        }
        Assert.Equal(expected.GetProperty("answers").IntLists(), filled.Beams.Select(beam => beam.Ids));
        Assert.Equal(expected.GetProperty("blank_ids").EnumerateArray().Select(GenerationReference.IntLists), filled.Beams.Select(beam => beam.Blanks));
        Assert.Equal(0, session.Cache.UsedPages);
    }

    [Fact]
    public void ThereAreCases() => Assert.NotEmpty(Cases);
}
