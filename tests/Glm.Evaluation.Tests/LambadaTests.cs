using System.Text.Json;
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
        Assert.Equal("mat", words.Answer([TinyModel.Tokenizer.Encode(" mat.\n\n\"and")]));
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
        using var model = TinyLocal.Create(workers);
        var reading = new ReadingOptions { UseTaskMask = true, Unidirectional = unidirectional };
        string longPassage = string.Concat(Enumerable.Repeat("The cat sat on the mat, ", 40)).TrimEnd();
        ItemText[] contexts = ["The cat sat on the", "and then it", longPassage];
        string[] predicted = [.. model.Generate(contexts, [0, 1, 2], reading, new GenerationOptions { Form = AnswerForm.Word }).OrderBy(answer => answer.Item).Select(answer => answer.Value!.Text)];
        bool[] words = [.. predicted.Select(word => word.Length > 0 && !word.Any(char.IsWhiteSpace))];
        Assert.True(words[0] && words[2], string.Join("|", predicted));
        // The second target is another word, the last line has no context.
        string[] lines = [$"{contexts[0].Text} {predicted[0]}", $"{contexts[1].Text} {predicted[1]}x", $"{contexts[2].Text} {predicted[2]} ", "alone"];
        folder.Write("lambada/test.jsonl", string.Concat(lines.Select(text => JsonSerializer.Serialize(new { text }) + "\n")));
        string yaml = folder.Write("lambada.yaml", $$"""
            name: LAMBADA
            type: gen
            module: tasks.lambada.task.LAMBADA
            path: lambada
            format: last-word
            sampling_strategy: BeamSearchStrategy
            num_beams: 16
            max_gen_length: 5
            use_task_mask: true
            unidirectional: {{(unidirectional ? "true" : "false")}}
            prompt: {text: "{text}", targets: "{word}"}
            """);

        var result = TaskRunner.Run(TaskFile.Load(yaml)[0], model, new TaskOptions { Data = folder.Path });

        Assert.Equal(3, result.Overall.Items);
        Assert.Equal(200.0 / 3, result.Overall.Metrics["Accuracy"].Average, 1e-9);
        Assert.Contains("line 4", Assert.Single(result.Errors));
        Assert.Equal(1, TaskRunner.Run(TaskFile.Load(yaml)[0], model, new TaskOptions { Data = folder.Path, Limit = 1 }).Overall.Items);
    }
}
