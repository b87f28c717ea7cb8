using System.Text.Json;
using Glm.Inference;
using Glm.Inference.Tests;
using Glm.Tensors;
using Glm.Tests;
using Glm.Tokenizers;

namespace Glm.Evaluation.Tests;

public sealed class LambadaTests
{
    [TokenizersFact]
    public void IcetkForbidsTheTokensOfTheOriginal()
    {
        var words = new LambadaWords(new IceTokenizer(SentencePieceModel.Load(Path.Combine(TestFiles.Tokenizers!, "chatglm-6b", "ice_text.model"))));
        // Spec 8.7: 19 of 32 marks are one token, the other 13 are 20005 and the mark.
        Assert.Equal(21, words.InvalidIds.Count);
        Assert.Superset(new HashSet<int> { 20068, 146010, 146337 }, words.InvalidIds.ToHashSet());
        Assert.Contains(words.BannedPrefixes, prefix => prefix is [46010]);
        Assert.Contains(words.BannedPrefixes, prefix => prefix is [146337]);
        Assert.Equal(13, words.BannedPrefixes.Count(prefix => prefix is [20005, _]));
    }

    [TokenizersFact]
    public void TheAnswerIsTheBestBeamThatGoesOnWithPunctuation()
    {
        var tokenizer = new IceTokenizer(SentencePieceModel.Load(Path.Combine(TestFiles.Tokenizers!, "chatglm-6b", "ice_text.model")));
        var words = new LambadaWords(tokenizer);
        Assert.Equal("door", words.Answer([tokenizer.Encode("window and"), tokenizer.Encode("door . He")]));
        Assert.Equal("window", words.Answer([tokenizer.Encode("window and"), tokenizer.Encode("door he")]));
        Assert.Equal("", words.Answer([]));
    }

    [Fact]
    public void OwnVocabulariesWritePunctuationAtTheWord()
    {
        var words = new LambadaWords(TinyModel.Tokenizer);
        Assert.Equal("mat", words.Answer([TinyModel.Tokenizer.Encode(" cat and"), TinyModel.Tokenizer.Encode(" mat, and")]));
        Assert.Contains(words.BannedPrefixes, prefix => prefix.SequenceEqual(TinyModel.Tokenizer.Encode(",")));
        Assert.Contains(words.BannedPrefixes, prefix => prefix.SequenceEqual(TinyModel.Tokenizer.Encode(" ,")));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void CountsThePassagesWhoseLastWordIsPredicted(bool unidirectional)
    {
        using var workers = new Workers(1);
        using var folder = new TemporaryFolder();
        var lambada = new Lambada(new Session(TinyModel.Create(), workers), TinyModel.Tokenizer);
        string longPassage = string.Concat(Enumerable.Repeat("The cat sat on the mat, ", 40)).TrimEnd();
        string[] contexts = ["The cat sat on the", "and then it", longPassage];
        string[] predicted = [.. contexts.Select(context => lambada.Predict(context, unidirectional))];
        // The second target is another word, the last line has no context.
        string[] lines = [$"{contexts[0]} {predicted[0]}", $"{contexts[1]} {predicted[1]}x", $"{contexts[2]} {predicted[2]} ", "alone"];
        bool[] words = [.. predicted.Select(word => word.Length > 0 && !word.Any(char.IsWhiteSpace))];
        Assert.True(words[0] && words[2], string.Join("|", predicted));
        string path = folder.Write("lambada.jsonl", string.Concat(lines.Select(text => JsonSerializer.Serialize(new { text }) + "\n")));

        var result = lambada.Run(path, new LambadaOptions { Unidirectional = unidirectional });

        Assert.Equal(3, result.Items);
        Assert.Equal(200.0 / 3, result.Metrics["accuracy"], 1e-9);
        Assert.Single(result.Errors);
        Assert.Equal(1, lambada.Run(path, new LambadaOptions { Unidirectional = unidirectional, MaxItems = 1 }).Items);
    }
}
