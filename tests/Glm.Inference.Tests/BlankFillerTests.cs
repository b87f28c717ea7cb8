using Glm.Tensors;

namespace Glm.Inference.Tests;

/// <summary>Filling blanks in texts, with a random model.</summary>
public sealed class BlankFillerTests : IDisposable
{
    private readonly Workers _workers = new(1);
    private readonly BlankFiller _filler;

    public BlankFillerTests() => _filler = new BlankFiller(new Session(TinyModel.Create(), _workers), TinyModel.Tokenizer);

    public void Dispose() => _workers.Dispose();

    [Theory]
    [InlineData(StrategyKind.Greedy)]
    [InlineData(StrategyKind.Sample)]
    [InlineData(StrategyKind.Beam)]
    public void WhatIsStreamedIsWhatIsReturned(StrategyKind strategy)
    {
        foreach (string text in new[] { "The cat", "The [MASK] sat on the [MASK].", "猫坐在[sMASK]", "The cat [gMASK]" })
        {
            var pieces = new List<BlankPiece>();
            var filled = _filler.Fill(text, new FillOptions { Strategy = strategy, MaxNewTokens = 8, TopP = 0 }, pieces.Add);
            var best = filled.Beams[0];
            Assert.Equal(strategy == StrategyKind.Beam ? 4 : 1, filled.Beams.Count);
            Assert.Equal(filled.Fills.Count, best.Blanks.Count);
            for (int blank = 0; blank < filled.Fills.Count; blank++)
                Assert.Equal(best.BlankTexts![blank], string.Concat(pieces.Where(piece => piece.Blank == blank).Select(piece => piece.Text)));
            string expected = (text.Contains("MASK]") ? text : text + "[gMASK]").Replace(" [", "["); // the space belongs to the fill
            foreach (string blank in best.BlankTexts!)
            {
                string mask = expected.Contains("[MASK]") ? "[MASK]" : expected.Contains("[sMASK]") ? "[sMASK]" : "[gMASK]";
                int at = expected.IndexOf(mask, StringComparison.Ordinal);
                expected = expected[..at] + blank + expected[(at + mask.Length)..];
            }
            Assert.Equal(expected, best.Text);
        }
    }

    [Fact]
    public void StopStringsEndABlank()
    {
        var options = new FillOptions { Strategy = StrategyKind.Sample, TopP = 0, MaxNewTokens = 30, Seed = 5 };
        string whole = _filler.Fill("The cat [gMASK]", options).Beams[0].BlankTexts![0];
        string stop = whole.Substring(whole.Length / 2, 2);
        var pieces = new List<string>();

        var filled = _filler.Fill("The cat [gMASK]", options with { Stop = [stop] }, piece => pieces.Add(piece.Text));

        string expected = whole[..whole.IndexOf(stop, StringComparison.Ordinal)];
        Assert.Equal(expected, filled.Beams[0].BlankTexts![0]);
        Assert.Equal(expected, string.Concat(pieces));
        Assert.EndsWith(expected, filled.Beams[0].Text, StringComparison.Ordinal);
        Assert.True(filled.Fills[0].Decoding.Steps < 30);
    }

    [Fact]
    public void LimitsHold()
    {
        int context = _filler.Fill("The cat", new FillOptions { MaxNewTokens = 1 }).Fills[0].Context.Ids.Length;
        FilledText Run(FillOptions options) => _filler.Fill("The cat", options with { Strategy = StrategyKind.Beam, MinGenLength = 1000 });
        Assert.Equal(3, Run(new FillOptions { MaxNewTokens = 3 }).Fills[0].Decoding.Steps);
        Assert.Equal(4, Run(new FillOptions { OutSeqLength = context + 4 }).Fills[0].Decoding.Steps);
        Assert.Equal(TinyModel.Config.MaxSequenceLength - context, Run(new FillOptions()).Fills[0].Decoding.Steps);
        Assert.Contains("leave room", Assert.Throws<GlmException>(() => Run(new FillOptions { OutSeqLength = context })).Message);
    }

    [Fact]
    public void AFillThatTakesAllTheRoomLeavesOneTokenForTheNext()
    {
        var options = new FillOptions { Strategy = StrategyKind.Beam, MinGenLength = 1000 };
        var filled = _filler.Fill("The [MASK] sat on the [MASK].", options);
        Assert.Equal([TinyModel.Config.MaxSequenceLength - filled.Fills[0].Context.Ids.Length, 1], filled.Fills.Select(fill => fill.Decoding.Steps));
    }

    [Theory]
    [InlineData("", "expected some text")]
    [InlineData("  \n", "expected some text")]
    [InlineData("a [XMASK] b", "found [XMASK]")]
    [InlineData("a [MASK] b [GMASK]", "found [GMASK]")]
    public void ImpossibleTextsAreRefused(string text, string reason) =>
        Assert.Contains(reason, Assert.Throws<GlmException>(() => _filler.Fill(text, new FillOptions())).Message);

    [Fact]
    public void ATextBeyondTheModelIsRefused() => Assert.Contains(
        "at most 64 tokens", Assert.Throws<GlmException>(() => _filler.Fill(string.Concat(Enumerable.Repeat("cat ", 100)), new FillOptions())).Message);

    [Fact]
    public void ABlankBeforeSpacesIsInsideTheText()
    {
        int eos = TinyModel.Tokenizer.Blanks.Eos;
        var options = new FillOptions { MaxNewTokens = 1 };
        Assert.Equal(eos, _filler.Fill("The [MASK] ", options).Fills[0].Context.Ids[^2]);
        Assert.NotEqual(eos, _filler.Fill("The [MASK]", options).Fills[0].Context.Ids[^2]);
    }

    [Fact]
    public void CancellationStopsAndGivesThePagesBack()
    {
        using var cancellation = new CancellationTokenSource();
        var session = new Session(TinyModel.Create(), _workers);
        var options = new FillOptions { Strategy = StrategyKind.Greedy };
        Assert.ThrowsAny<OperationCanceledException>(() => new BlankFiller(session, TinyModel.Tokenizer).Fill(
            "The cat", options, _ => cancellation.Cancel(), cancellation.Token));
        Assert.Equal(0, session.Cache.UsedPages);
    }
}
