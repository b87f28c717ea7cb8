using FsCheck;
using FsCheck.Fluent;

namespace Glm.Inference.Tests;

public sealed class BlankTextTests
{
    [Fact]
    public void PiecesAreTheTextBeforeTheFirstStopString() =>
        Prop.ForAll<int[], int, int>((values, at, length) =>
        {
            var tokenizer = TinyModel.Tokenizer;
            int[] ids = [.. values.Select(value => (int)((uint)value % 420))];
            string whole = BlankText.Decode(tokenizer, ids);
            // Stop strings that occur, and one that does not.
            var stop = new List<string> { "no such string" };
            if (whole.Length > 0)
            {
                int start = (int)((uint)at % whole.Length);
                stop.Add(whole.Substring(start, Math.Min(whole.Length - start, 1 + (int)((uint)length % 5))));
            }
            int cut = stop.Select(s => whole.IndexOf(s, StringComparison.Ordinal)).Where(found => found >= 0).DefaultIfEmpty(whole.Length).Min();

            var text = new BlankText(tokenizer, stop, []);
            string pieces = "";
            foreach (int id in ids)
            {
                string piece = text.Add(id);
                pieces += piece;
                Assert.StartsWith(pieces, whole, StringComparison.Ordinal);
                Assert.True(pieces.Length <= cut);
            }
            pieces += text.Finish();

            Assert.Equal(whole[..cut], pieces);
            Assert.Equal(pieces, text.Text);
            Assert.Equal(cut < whole.Length, text.Stopped);
            Assert.Equal(pieces, BlankText.Decode(tokenizer, text.Ids()));
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void TextThatMayBecomeAStopStringWaits()
    {
        var text = new BlankText(TinyModel.Tokenizer, ["night!"], []);
        var pieces = new List<string>();
        foreach (int id in TinyModel.Tokenizer.Encode("nights and night!")) pieces.Add(text.Add(id));
        Assert.Equal("nights and ", string.Concat(pieces));
        Assert.True(text.Stopped);
        Assert.Equal("", text.Add(TinyModel.Tokenizer.Encode("x")[0]));
    }

    [Fact]
    public void CharactersComeWhole()
    {
        var tokenizer = TinyModel.Tokenizer;
        var text = new BlankText(tokenizer, [], []);
        var pieces = tokenizer.Encode("鼠").Select(text.Add).ToArray(); // not in the vocabulary: three bytes
        Assert.Equal(["", "", "鼠"], pieces);
    }
}
