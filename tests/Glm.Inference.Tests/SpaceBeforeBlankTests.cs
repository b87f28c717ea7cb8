using Glm.Tokenizers;

namespace Glm.Inference.Tests;

/// <summary>Our vocabularies write a space in front of a word into its piece, so a space before a blank is the fill's.</summary>
public sealed class SpaceBeforeBlankTests
{
    private static readonly GlmTokenizer Tokenizer = new(UnigramTrainer.Train(
        Enumerable.Range(0, 60).Select(i => $"The {i} old farmers look at the sea. 农民看着大海。"), new UnigramTrainerOptions { VocabularySize = 420, Threads = 1 }));

    [Theory]
    [InlineData("The [MASK] sea", "The", " sea")]
    [InlineData("The  [MASK] look [MASK].", "The ", " look", ".")]
    [InlineData("农民[MASK]大海。", "农民", "大海。")]
    [InlineData("[MASK][gMASK]", "", "[gMASK]")]
    [InlineData("a [sMASK] b", "a", " b")]
    [InlineData("The old [gMASK]", "The old", "")]
    [InlineData("The old ", "The old ", "")]
    public void The_space_before_a_blank_belongs_to_what_fills_it(string text, params string[] around) =>
        Assert.Equal(around, BlankFiller.Around(Tokenizer, text));
}
